/** The wire's types, made from the server's OpenAPI description by `make docs`; change them there. */

/** A picture of a mask, for what strokes cannot say: no wider and no higher than the photo. */
export interface Bitmap {
  readonly op?: "add" | "sub";
  readonly kind: "bitmap";
  readonly x: number;
  readonly y: number;
  readonly w: number;
  readonly h: number;
  /** base64 of an image file of w x h pixels; light is painted, alpha is ignored. In answers a PNG of one bit a pixel */
  readonly png: string;
}

/** A thing that the prompts may mean; `shapes` can be the mask of an edit as they are. */
export interface CandidateReply {
  /** From 0 to 1: how sure the model is. */
  readonly score: number;
  readonly shapes: ReadonlyArray<Bitmap>;
}

/** The size that the picture has with an edit over its parents, and whether it has an alpha channel. */
export interface CanvasReply {
  readonly width: number;
  readonly height: number;
  readonly has_alpha: boolean;
}

/** Change the canvas that the parents make: its size, and where on it they lie. Nothing is filled. */
export interface CanvasRequest {
  readonly image: string;
  /** Edits that lie under this one, in drawing order. */
  readonly parents?: ReadonlyArray<string>;
  readonly canvas: Extend | Crop | Rotate | Scale;
  /** Write the results into the output folder, if the server has one; false: when asked to. */
  readonly save?: boolean;
}

export interface CheckReply {
  readonly ok: boolean;
  /** Of the error that a request would end in; null where `ok`. */
  readonly code: string | null;
  readonly detail: string;
}

/** What the page needs to know at start. */
export interface ConfigReply {
  readonly version: string;
  readonly boot_id: string;
  readonly model: string;
  readonly device: string;
  /** Name of the auto-save folder, null when auto-save is off. */
  readonly output_dir: string | null;
  /** Id of the photo given by --input. */
  readonly open_image: string | null;
  /** Name of the folder given by --input; see /api/v1/photos. */
  readonly input_dir: string | null;
  readonly limits: LimitsReply;
  readonly settings: Readonly<Record<string, unknown>>;
}

/** Keep a part of the canvas. */
export interface Crop {
  readonly op: "crop";
  readonly x: number;
  readonly y: number;
  readonly w: number;
  readonly h: number;
}

/** A line of a download's stream; the last one has state ready or failed. */
export interface DownloadEvent {
  readonly state: "ready" | "loaded" | "missing" | "downloading" | "failed" | "unavailable";
  readonly progress: DownloadProgress | null;
  readonly problem: ProblemReply | null;
}

export interface DownloadProgress {
  readonly done_bytes: number;
  readonly total_bytes: number | null;
}

export type EditEvent = QueuedEvent | ProgressEvent | PreviewEvent | PatchEvent | ResultEvent | SavedEvent | ErrorEvent;

/** A finished edit, with all that is needed to make it again: mask and run, or the `change` of the canvas. */
export interface EditReply {
  readonly model: string | null;
  readonly seed: number | null;
  readonly strategy: string | null;
  readonly ms: number;
  readonly patches: ReadonlyArray<PatchReply>;
  readonly canvas: CanvasReply;
  readonly id: string;
  readonly image: string;
  readonly parents: ReadonlyArray<string>;
  readonly mask: MaskShapes | null;
  readonly params: Readonly<Record<string, boolean | number | string>>;
  readonly change: Extend | Crop | Rotate | Scale | null;
}

/** Run models on a photo. Positions are those of the canvas that the parents make. Models that fill need a mask. Those that cut out, enlarge or restore make the whole canvas anew and take none. */
export interface EditRequest {
  readonly image: string;
  /** Edits that lie under this one, in drawing order. */
  readonly parents?: ReadonlyArray<string>;
  readonly mask?: MaskShapes | null;
  readonly strategy?: "auto" | "crop" | "resize" | "original";
  /** Context around a hole, for the strategy crop. */
  readonly margin_px?: number | null;
  /** Longest side that the model gets to see, for crop and resize. */
  readonly max_side?: number | null;
  /** Images no longer than this go in whole, for crop. */
  readonly crop_above?: number | null;
  /** Gives what a network fills the grain of its surroundings, and takes out a step of colour at its edge. */
  readonly finish?: boolean;
  /** While the first run takes long, send what a quick model makes of the same mask as a preview, if the server has it in memory. */
  readonly quick_look?: boolean;
  /** Write the results into the output folder, if the server has one; false: when asked to. */
  readonly save?: boolean;
  readonly runs: ReadonlyArray<Run>;
}

/** A run that failed, or the whole job when `run` is null. */
export interface ErrorEvent {
  readonly type: "error";
  readonly job: string;
  readonly run: number | null;
  readonly problem: ProblemReply;
}

/** Add pixels at the sides. They continue the picture, mirrored, until they are filled like any other hole. */
export interface Extend {
  readonly op: "extend";
  readonly left?: number;
  readonly top?: number;
  readonly right?: number;
  readonly bottom?: number;
}

export interface FieldProblem {
  readonly pointer: string;
  readonly code: string;
  readonly message: string;
}

export type FindEvent = SearchEvent | FoundEvent | ErrorEvent;

/** What was found, the surest of each model first. `left_out` counts those beyond the limit on shapes. */
export interface FindReply {
  readonly models: ReadonlyArray<string>;
  readonly ms: number;
  readonly left_out: number;
  readonly findings: ReadonlyArray<FindingReply>;
}

/** Find what people usually want gone. Positions are those of the canvas that the parents make. */
export interface FindRequest {
  readonly image: string;
  /** Edits that lie under this one, in drawing order. */
  readonly parents?: ReadonlyArray<string>;
  /** Left out, all that find and are ready. Models that cut out find the subject. */
  readonly models?: ReadonlyArray<string> | null;
}

/** A suggestion; `shapes` can be the mask of an edit as they are. */
export interface FindingReply {
  readonly category: string;
  /** From 0 to 1: how sure the model is. */
  readonly score: number;
  readonly model: string;
  readonly shapes: ReadonlyArray<Bitmap>;
}

/** All that one of the models found. */
export interface FoundEvent {
  readonly models: ReadonlyArray<string>;
  readonly ms: number;
  readonly left_out: number;
  readonly findings: ReadonlyArray<FindingReply>;
  readonly type: "found";
  readonly job: string;
}

export interface HealthReply {
  readonly status: "ok";
  readonly version: string;
}

/** A photo that the server has. `id` is the SHA-256 of the file. */
export interface ImageReply {
  readonly id: string;
  readonly name: string;
  /** After EXIF rotation. */
  readonly width: number;
  /** After EXIF rotation. */
  readonly height: number;
  readonly format: string;
  readonly bit_depth: number;
  readonly has_alpha: boolean;
  /** Whether the file carries a colour profile. */
  readonly icc: boolean;
  /** Whether browsers show the file as the server sees it; if not, show `preview` instead. */
  readonly browsers_agree: boolean;
  readonly size_bytes: number;
}

export interface LicenceReply {
  readonly name: string;
  readonly url: string;
  readonly commercial_use: boolean;
}

export interface LimitReply {
  readonly name: string;
  readonly value: unknown;
  readonly actual?: unknown;
  readonly flag?: string | null;
}

export interface LimitsReply {
  readonly max_megapixels: number;
  readonly max_side_px: number;
  readonly upload_bytes: number;
  readonly runs: number;
  readonly shapes: number;
}

/** What to fill: shapes in drawing order, "add" paints and "sub" erases. */
export interface MaskShapes {
  readonly shapes: ReadonlyArray<Stroke | Polygon | Rectangle | Bitmap>;
  readonly source?: SourceShapes | null;
  /** Grow the mask; left out, the model's own value. */
  readonly grow_px?: number | null;
  /** Fades the fill in over so many pixels inside the grown mask. */
  readonly feather_px?: number;
}

/** `state` is failed after a download that failed, and when the weights are there but do not load. `reason` is why the server took the model without being asked for it, empty for all others. */
export interface ModelReply {
  readonly name: string;
  readonly title: string;
  /** Models to fill take masks; others are for edits, POST /api/v1/select and POST /api/v1/find. */
  readonly task: "fill" | "select" | "find" | "matte" | "enlarge" | "restore";
  /** Under what people look for it: wires and scratches; almost everything; what has to be invented; what they say in words. Empty: it is not for everyday photos. */
  readonly kind: "" | "quick" | "natural" | "creative" | "words";
  readonly tagline: string;
  readonly description: string;
  readonly aliases: ReadonlyArray<string>;
  readonly licence: LicenceReply;
  readonly stochastic: boolean;
  /** Whether `finish` changes what it fills. */
  readonly synthesises: boolean;
  /** Whether it can be told where to copy from. */
  readonly source_control: boolean;
  /** How a model that selects is pointed at: by marks over or around a thing, by points that trace its outline, by places that are a sample of its colour, by a point on it in a `view`. Null for other tasks. */
  readonly gesture: "mark" | "trace" | "sample" | "point" | null;
  readonly strategies: ReadonlyArray<"auto" | "crop" | "resize" | "original">;
  readonly strategy: "auto" | "crop" | "resize" | "original";
  readonly grow_px: number;
  readonly parameters: ReadonlyArray<ParameterReply>;
  readonly download_bytes: number;
  readonly download_is_estimate: boolean;
  readonly memory_bytes: number;
  readonly state: "ready" | "loaded" | "missing" | "downloading" | "failed" | "unavailable";
  readonly reason: string;
  readonly progress: DownloadProgress | null;
  readonly problem: ProblemReply | null;
}

/** `current` fills when a request names no model; `wanted` is what --model asked for. */
export interface ModelsReply {
  readonly current: string;
  readonly wanted: string;
  readonly models: ReadonlyArray<ModelReply>;
}

/** The `params` field of a one-shot request. A raster mask is exact: it does not grow unless told to. */
export interface OneShotParams {
  /** Left out, the server's current model. */
  readonly model?: string | null;
  /** Chooses among the results of a model that has several. */
  readonly seed?: number;
  readonly strategy?: "auto" | "crop" | "resize" | "original";
  /** Grows the mask by so many pixels before filling. */
  readonly grow_px?: number;
  /** Fades the fill in over so many pixels inside the grown mask. */
  readonly feather_px?: number;
  /** Context around a hole, for the strategy crop. */
  readonly margin_px?: number | null;
  /** Longest side that the model gets to see, for crop and resize. */
  readonly max_side?: number | null;
  /** Images no longer than this go in whole, for crop. */
  readonly crop_above?: number | null;
  /** Gives what a network fills the grain of its surroundings, and takes out a step of colour at its edge. */
  readonly finish?: boolean;
  readonly params?: Readonly<Record<string, boolean | number | string>>;
}

/** Where the thing is, as fine as a window shows it; its mask follows. `shapes` can be the mask of an edit as they are. Parts and holes are joined by slits of no width. */
export interface OutlineEvent {
  readonly type: "outline";
  readonly job: string;
  readonly model: string;
  readonly shapes: ReadonlyArray<Polygon>;
}

export interface ParameterReply {
  readonly name: string;
  readonly kind: "int" | "float" | "bool" | "choice" | "text" | "colour" | "picture";
  readonly default: boolean | number | string | null;
  readonly minimum: number | null;
  readonly maximum: number | null;
  readonly choices: ReadonlyArray<string>;
  readonly max_length: number;
  readonly placeholder: string;
  readonly help: string;
}

/** A finished patch of a run that goes on: one of `patches` of its result, to be shown before that. `edit` is the id that the result will have. The URL is that of the result's patch, and goes if there is none. */
export interface PatchEvent {
  readonly url: string;
  readonly x: number;
  readonly y: number;
  readonly w: number;
  readonly h: number;
  readonly type: "patch";
  readonly job: string;
  readonly run: number;
  readonly edit: string;
  /** Of all patches of the result, counted from 0. */
  readonly index: number;
  /** How many patches the result will have. */
  readonly of: number;
}

/** Where pixels of an edit are, and where they belong in the image. */
export interface PatchReply {
  readonly url: string;
  readonly x: number;
  readonly y: number;
  readonly w: number;
  readonly h: number;
}

/** A file of the input folder that is called like a picture; it may be broken all the same. */
export interface PhotoReply {
  readonly name: string;
  readonly size_bytes: number;
  /** Seconds since 1970. */
  readonly changed_s: number;
  /** Changes when the file does. */
  readonly version: string;
  /** Name of the newest file in the output folder that was made of it. */
  readonly result: string | null;
  readonly result_version: string | null;
}

/** Take a photo of the input folder in. */
export interface PhotoRequest {
  readonly name: string;
}

/** The folder that --input names, at most 5,000 of its photos. */
export interface PhotosReply {
  readonly folder: string;
  readonly photos: ReadonlyArray<PhotoReply>;
}

/** A place, in quarters of a pixel as in `p` of a stroke. For selections alone: it covers nothing. */
export interface Point {
  readonly op?: "add" | "sub";
  readonly kind: "point";
  readonly x: number;
  readonly y: number;
}

/** A filled outline, closed by itself. Where it crosses itself, what it winds around is inside. */
export interface Polygon {
  readonly op?: "add" | "sub";
  /** x0, y0, then dx, dy from point to point, in quarters of a pixel */
  readonly p: ReadonlyArray<number>;
  readonly kind: "poly";
}

/** An estimate while the run goes on; the URL is valid as long as the job. */
export interface PreviewEvent {
  readonly url: string;
  readonly x: number;
  readonly y: number;
  readonly w: number;
  readonly h: number;
  readonly type: "preview";
  readonly job: string;
  readonly run: number;
}

/** RFC 9457 problem details. Switch on `code`. */
export interface ProblemReply {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly instance: string;
  readonly code: string;
  readonly request_id: string;
  readonly retryable: boolean;
  readonly limit?: LimitReply | null;
  readonly errors?: ReadonlyArray<FieldProblem>;
  readonly retry_after?: number | null;
}

export interface ProgressEvent {
  readonly type: "progress";
  readonly job: string;
  readonly run: number;
  readonly stage: string;
  readonly step: number;
  readonly total: number;
}

export interface QueuedEvent {
  readonly type: "queued";
  readonly job: string;
  /** 0: its turn has come. */
  readonly position: number;
}

/** 503 while a check fails. `model` says as well why another model than the wanted one is at work. `engine_worker` holds as soon as one of the `workers` can fill, and names those that cannot. */
export interface ReadyReply {
  readonly ready: boolean;
  readonly checks: Readonly<Record<string, CheckReply>>;
  readonly workers: ReadonlyArray<WorkerReply>;
}

/** A filled rectangle. */
export interface Rectangle {
  readonly op?: "add" | "sub";
  readonly kind: "rect";
  readonly x: number;
  readonly y: number;
  readonly w: number;
  readonly h: number;
}

/** `ms` is the time from the run's start to its result; `load_ms` of it went into loading the model. */
export interface ResultEvent {
  readonly model: string | null;
  readonly seed: number | null;
  readonly strategy: string | null;
  readonly ms: number;
  readonly patches: ReadonlyArray<PatchReply>;
  readonly canvas: CanvasReply;
  readonly type: "result";
  readonly job: string;
  readonly run: number;
  readonly edit: string;
  readonly load_ms: number;
}

/** Turn the canvas clockwise. */
export interface Rotate {
  readonly op: "rotate";
  readonly quarter_turns: number;
}

/** One answer that is wanted: a model, its parameters, a seed. */
export interface Run {
  readonly model: string;
  readonly params?: Readonly<Record<string, boolean | number | string>>;
  /** Left out, the server draws one and tells it. */
  readonly seed?: number | null;
}

/** Write a picture into the output folder. */
export interface SaveRequest {
  /** Edits to show, in drawing order. */
  readonly edits: ReadonlyArray<string>;
}

/** With an output folder, follows each result once its file is written, or could not be. */
export interface SavedEvent {
  readonly type: "saved";
  readonly job: string;
  readonly run: number;
  readonly edit: string;
  readonly saved: SavedReply | null;
  readonly save_error: ProblemReply | null;
}

/** The file that auto-save wrote into the output folder. `reencoded` says why a JPEG had to be encoded anew; null when it kept all blocks that were not edited, and for other formats. */
export interface SavedReply {
  readonly name: string;
  readonly reencoded: string | null;
}

/** Another number of pixels for the same picture: averages where it shrinks, Lanczos where it grows. */
export interface Scale {
  readonly op: "scale";
  readonly width: number;
  readonly height: number;
}

/** How far one of the models is. */
export interface SearchEvent {
  readonly type: "progress";
  readonly job: string;
  readonly model: string;
  readonly step: number;
  readonly total: number;
}

export type SelectEvent = OutlineEvent | SelectedEvent | ErrorEvent;

/** A selection. `shapes` can be the mask of an edit as they are; `load_ms` of `ms` went into loading the model. */
export interface SelectReply {
  readonly model: string;
  readonly ms: number;
  readonly load_ms: number;
  /** From 0 to 1: how sure the model is. */
  readonly score: number;
  readonly shapes: ReadonlyArray<Bitmap>;
  /** What else the prompts may mean, the likeliest first. */
  readonly others: ReadonlyArray<CandidateReply>;
  /** What it casts, without the thing; empty unless asked for and seen. */
  readonly shadow: ReadonlyArray<Bitmap>;
}

/** Select a thing. Positions are those of the canvas that the parents make. */
export interface SelectRequest {
  readonly image: string;
  /** Edits that lie under this one, in drawing order. */
  readonly parents?: ReadonlyArray<string>;
  /** Left out, the first that selects and is ready. */
  readonly model?: string | null;
  readonly params?: Readonly<Record<string, boolean | number | string>>;
  /** "add" marks the thing, "sub" what is not part of it. */
  readonly prompts: ReadonlyArray<Stroke | Rectangle | Point>;
  /** Look for the shadow that the thing casts as well. */
  readonly shadow?: boolean;
  /** What a person sees of the canvas, for models with the gesture "point": they look there only, so small things are found in a small view. The same view again is answered sooner. Left out, the whole canvas. */
  readonly view?: View | null;
  /** How many things that the prompts may mean are wanted at most, such as a part and the whole. */
  readonly candidates?: number;
}

/** The mask, with all that an answer of another type has. */
export interface SelectedEvent {
  readonly model: string;
  readonly ms: number;
  readonly load_ms: number;
  /** From 0 to 1: how sure the model is. */
  readonly score: number;
  readonly shapes: ReadonlyArray<Bitmap>;
  /** What else the prompts may mean, the likeliest first. */
  readonly others: ReadonlyArray<CandidateReply>;
  /** What it casts, without the thing; empty unless asked for and seen. */
  readonly shadow: ReadonlyArray<Bitmap>;
  readonly type: "selected";
  readonly job: string;
}

/** Swap the server's token for a cookie. */
export interface SessionRequest {
  readonly token: string;
}

/** Where to copy from, for models with `source_control`. Shapes that mark nothing say nothing. */
export interface SourceShapes {
  /** Copy from here only; empty, from anywhere. */
  readonly include?: ReadonlyArray<Stroke | Polygon | Rectangle | Bitmap>;
  /** Never copy from here, included or not. */
  readonly exclude?: ReadonlyArray<Stroke | Polygon | Rectangle | Bitmap>;
}

/** A line of the brush, with round ends and joins; a single point is a dot. */
export interface Stroke {
  readonly op?: "add" | "sub";
  /** x0, y0, then dx, dy from point to point, in quarters of a pixel */
  readonly p: ReadonlyArray<number>;
  readonly kind: "stroke";
  /** diameter in pixels */
  readonly d: number;
}

/** A part of the canvas, in pixels. */
export interface View {
  readonly x: number;
  readonly y: number;
  readonly w: number;
  readonly h: number;
}

/** A process in which fills run, one at a time. */
export interface WorkerReply {
  readonly name: string;
  /** As asked for: auto is chosen when the first network is loaded. */
  readonly device: string;
  /** stopped: halted from outside, as by SIGSTOP. unavailable: it ended too often lately. */
  readonly state: "starting" | "ready" | "stopped" | "unavailable";
  readonly restarts: number;
  /** Models it holds, least recently used first. */
  readonly loaded: ReadonlyArray<string>;
}
