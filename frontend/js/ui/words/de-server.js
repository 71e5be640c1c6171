/** German: what the server says, of errors and of models. */

/** What an error means, by its code. @type {Readonly<Record<string, string>>} */
export const SENTENCES = {
  "request.bad_target": "Die Adresse der Anfrage ist ungültig",
  "request.malformed": "Die Anfrage ist fehlerhaft",
  "request.headers_too_large": "Die Kopfzeilen der Anfrage sind zu lang",
  "request.uri_too_long": "Die Adresse ist zu lang",
  "upload.timeout": "Die Datei kam zu langsam an",
  "host.invalid": "Der Name des Servers in der Anfrage ist ungültig",
  "host.not_allowed": "Unter diesem Namen antwortet der Server nicht",
  "origin.forbidden": "Die Anfrage kommt von einer fremden Seite",
  "auth.required": "Der Server verlangt ein Token",
  "auth.invalid": "Das Token stimmt nicht",
  "auth.rate_limited": "Zu viele falsche Token, bitte warten",
  "route.not_found": "Diese Adresse gibt es nicht",
  "route.method_not_allowed": "Diese Adresse versteht die Anfrage so nicht",
  "body.too_large": "Die Anfrage ist zu groß",
  "body.unsupported_type": "Die Anfrage hat eine Form, die der Server nicht liest",
  "body.unsupported_encoding": "Die Anfrage ist auf eine Art gepackt, die der Server nicht liest",
  "multipart.malformed": "Das Formular ist fehlerhaft",
  "multipart.too_many_files": "Zu viele Dateien auf einmal",
  "multipart.too_many_fields": "Zu viele Felder auf einmal",
  "field.missing": "Eine Angabe fehlt",
  "field.duplicate": "Eine Angabe steht mehrmals da",
  "field.too_large": "Eine Angabe ist zu lang",
  "field.not_a_file": "Hier wird eine Datei erwartet",
  "params.malformed": "Die Parameter sind fehlerhaft",
  "param.unknown": "Diesen Parameter gibt es nicht",
  "param.wrong_type": "Ein Parameter hat die falsche Art",
  "param.out_of_range": "Ein Wert liegt außerhalb seiner Grenzen",
  "param.unknown_value": "Diesen Wert gibt es hier nicht",
  "param.too_long": "Ein Wert ist zu lang",
  "param.invalid": "Ein Parameter ist ungültig",
  "image.empty": "Die Datei ist leer",
  "image.unsupported_format": "Dieses Dateiformat wird nicht gelesen",
  "image.corrupt": "Die Bilddatei ist beschädigt",
  "image.truncated": "Die Bilddatei ist nicht vollständig",
  "image.too_many_pixels": "Das Bild hat zu viele Pixel",
  "image.side_too_long": "Das Bild ist zu breit oder zu hoch",
  "image.too_small": "Das Bild ist zu klein",
  "image.animated": "Bewegte Bilder werden nicht bearbeitet",
  "image.metadata_too_large": "Die Metadaten des Bildes sind zu groß",
  "image.too_complex": "Das Bild ist zu aufwendig gebaut",
  "image.not_found": "Der Server hat dieses Foto nicht mehr",
  "edit.not_found": "Der Server hat diesen Schritt nicht mehr",
  "edit.other_canvas": "Der Schritt gehört zu einer anderen Bildgröße",
  "mask.size_mismatch": "Die Maske hat eine andere Größe als das Foto",
  "mask.empty": "Nichts ist übermalt",
  "mask.covers_image": "Das ganze Foto ist übermalt",
  "mask.nothing_to_copy": "Es bleibt nichts, wovon kopiert werden könnte",
  "mask.invalid": "Die Maske ist ungültig",
  "file.not_found": "Diese Datei gibt es nicht",
  "root.unavailable": "Ein Ordner des Servers ist nicht zu erreichen",
  "store.unavailable": "Der gemeinsame Speicher ist nicht zu erreichen",
  "save.disk_full": "Der Datenträger ist voll",
  "save.failed": "Das Ergebnis konnte nicht gespeichert werden",
  "save.off": "Der Server speichert keine Ergebnisse",
  "server.temp_full": "Der Speicher des Servers ist voll",
  "model.unknown": "Dieses Modell gibt es nicht",
  "model.wrong_task": "Dieses Modell ist für etwas anderes da",
  "model.no_source_control": "Diesem Modell kann man nicht sagen, wovon es kopieren soll",
  "model.image_unsuitable": "Dieses Bild eignet sich nicht für das Modell",
  "model.not_downloaded": "Das Modell ist nicht auf dem Server",
  "model.unsafe_format": "Die Dateien des Modells haben ein unsicheres Format",
  "model.weights_corrupted": "Die Dateien des Modells sind beschädigt",
  "model.download_failed": "Das Modell konnte nicht heruntergeladen werden",
  "model.loading": "Das Modell wird noch geladen",
  "model.switch_disabled": "Der Server lässt kein anderes Modell zu",
  "model.unavailable": "Das Modell läuft hier nicht",
  "job.not_found": "Diese Aufgabe gibt es nicht",
  "job.cancelled": "Abgebrochen",
  "job.deadline_exceeded": "Es hat zu lange gedauert",
  "job.queue_timeout": "Die Aufgabe hat zu lange gewartet",
  "queue.full": "Zu viele Aufgaben warten schon",
  "engine.out_of_memory": "Der Speicher reicht nicht",
  "engine.failed": "Das Modell ist gescheitert",
  "worker.crashed": "Das Modell ist abgestürzt",
  "worker.unavailable": "Gerade kann nichts gefüllt werden",
  "server.shutting_down": "Der Server wird beendet",
  "server.overloaded": "Der Server ist überlastet",
  "server.internal": "Im Server ist etwas schiefgegangen",
};

/**
 * Why, and what to do, by the error's code, or by code and limit. Empty where the sentence and the page's advice say it
 * all, and not shown where a figure is missing.
 * {value} is the limit, {actual} what was found, {command} what the server's administrator has to enter.
 *
 * @type {Readonly<Record<string, string>>}
 */
export const DETAILS = {
  "request.bad_target": "Die Seite neu laden.",
  "request.malformed": "Die Seite neu laden.",
  "request.headers_too_large": "Die Cookies dieser Adresse löschen und die Seite neu laden.",
  "request.uri_too_long": "Die Seite neu laden.",
  "host.invalid": "Die Adresse verwenden, die der Server beim Start ausgibt.",
  "host.not_allowed":
    "Die Adresse verwenden, die der Server beim Start ausgibt, oder ihn mit --allow-host und diesem Namen starten.",
  "origin.forbidden": "Die Seite unter der Adresse öffnen, die der Server beim Start ausgibt.",
  "route.not_found": "Die Seite neu laden: Sie gehört vielleicht zu einer anderen Version des Servers.",
  "route.method_not_allowed": "Die Seite neu laden: Sie gehört vielleicht zu einer anderen Version des Servers.",
  "body.unsupported_type": "Die Seite neu laden.",
  "body.unsupported_encoding": "Die Seite neu laden.",
  "multipart.malformed": "Noch einmal versuchen.",
  "multipart.too_many_files": "Weniger Dateien auf einmal nehmen.",
  "multipart.too_many_fields": "Noch einmal versuchen.",
  "field.missing": "Die Seite neu laden.",
  "field.duplicate": "Die Seite neu laden.",
  "field.too_large": "Einen kürzeren Text eingeben.",
  "field.not_a_file": "Die Datei noch einmal wählen.",
  "params.malformed": "Die Seite neu laden.",
  "param.unknown": "Die Seite neu laden: Sie gehört vielleicht zu einer anderen Version des Servers.",
  "param.wrong_type": "In den Optionen des Modells einen anderen Wert eingeben.",
  "param.out_of_range": "In den Optionen des Modells einen anderen Wert eingeben, oder weniger auf einmal malen.",
  "param.unknown_value": "In den Optionen des Modells etwas anderes wählen.",
  "param.too_long": "Einen kürzeren Text eingeben.",
  "param.invalid": "In den Optionen des Modells einen anderen Wert eingeben.",
  "auth.required": "",
  "auth.invalid": "Es steht in der Adresse, die der Server beim Start ausgibt.",
  "auth.rate_limited": "",
  "body.too_large": "Eine kleinere Datei verwenden.",
  "upload.timeout": "Noch einmal versuchen.",
  "image.empty": "Die Datei noch einmal kopieren oder herunterladen.",
  "image.unsupported_format": "Das Bild als PNG oder JPEG speichern.",
  "image.corrupt": "Das Bild noch einmal speichern oder herunterladen.",
  "image.truncated": "Die Datei noch einmal kopieren oder herunterladen.",
  "image.too_many_pixels": "Es hat {actual} Megapixel; die Grenze ist {value}.",
  "image.side_too_long":
    "Eine Seite hat {actual} Pixel; die Grenze ist {value}. Das Bild verkleinern oder zuschneiden.",
  "image.too_small": "Die kürzere Seite hat {actual} Pixel; es müssen mindestens {value} sein.",
  "image.animated": "Ein einzelnes Bild daraus speichern.",
  "image.metadata_too_large": "Das Bild ohne Metadaten speichern.",
  "image.too_complex": "Das Bild noch einmal speichern, ohne stufenweisen Aufbau.",
  "image.not_found": "Die Datei noch einmal öffnen.",
  "edit.not_found": "",
  "mask.empty": "",
  "mask.covers_image": "",
  "mask.size_mismatch": "",
  "mask.invalid": "Die Striche löschen und neu malen.",
  "mask.nothing_to_copy": "Weniger übermalen, oder weniger von der Quelle ausnehmen.",
  "edit.other_canvas": "Bis vor die Änderung der Bildgröße zurückgehen und von dort aus füllen.",
  "file.not_found": "Sie wurde vielleicht umbenannt oder gelöscht. Die Seite neu laden.",
  "root.unavailable": "Er muss da sein, und der Server muss in ihn schreiben dürfen.",
  "store.unavailable": "Gleich noch einmal versuchen.",
  "save.disk_full": "",
  "save.disk_full/min_free": "{actual} MiB wären noch frei; mindestens {value} MiB bleiben frei.",
  "save.failed": "",
  "save.off": "",
  "server.temp_full": "Auf dem Datenträger des Servers Platz schaffen.",
  "server.temp_full/data_cap":
    "Fotos und Füllungen brauchen zusammen {actual} MiB; die Grenze ist {value} MiB. Warten, ein kleineres Foto nehmen oder --data-cap erhöhen.",
  "server.temp_full/min_free":
    "{actual} MiB wären noch frei; mindestens {value} MiB bleiben frei. Auf dem Datenträger des Servers Platz schaffen.",
  "model.unknown": "Ein anderes Modell wählen.",
  "model.wrong_task": "Ein anderes Modell wählen.",
  "model.image_unsuitable": "Ein anderes Modell wählen.",
  "model.unsafe_format":
    "Sie könnten Programme enthalten und werden nicht geladen. Dateien im Format .safetensors verwenden.",
  "model.no_source_control": "PatchMatch wählen, oder die Quelle löschen.",
  "model.not_downloaded":
    "Die Dateien des Modells fehlen. Mit --offline lädt der Server sie nicht; lama-server models sagt, wohin sie gehören.",
  "model.weights_corrupted": "Die Dateien sind nicht die, die das Modell braucht.",
  "model.download_failed":
    "Die Quelle war nicht zu erreichen oder gab nicht die richtigen Dateien; im Protokoll des Servers steht mehr.",
  "model.loading": "",
  "model.switch_disabled": "",
  "model.unavailable": "Auf dem Server fehlt ein Paket: {command}",
  "job.cancelled": "",
  "job.not_found": "Noch einmal versuchen.",
  "job.deadline_exceeded": "Weniger übermalen oder ein schnelleres Modell wählen.",
  "job.queue_timeout": "Gleich noch einmal versuchen.",
  "queue.full": "",
  "queue.full/queue": "{actual} sind es jetzt.",
  "engine.out_of_memory": "",
  "engine.failed": "",
  "worker.crashed": "",
  "worker.unavailable": "Das Modell startet nicht; im Protokoll des Servers steht, warum.",
  "server.shutting_down": "Noch einmal versuchen, wenn er wieder läuft.",
  "server.overloaded": "Gleich noch einmal versuchen.",
  "server.internal": "Im Protokoll des Servers steht mehr.",
};

/**
 * What models are, what their parameters do, and why a JPEG is encoded anew, by the server's English. What is wrong with
 * a damaged JPEG is said in English.
 *
 * @type {Readonly<Record<string, string>>}
 */
export const TEXTS = {
  "continues texture, works offline": "setzt Strukturen fort, ohne Netz",
  "Rebuilds the hole from fitting parts of the same picture, sharp and at full resolution. Good where what is behind the thing can be seen elsewhere: ground, walls, foliage, water, fences, sky.":
    "Baut das Loch aus passenden Teilen desselben Bildes auf, scharf und in voller Auflösung. Gut, wo das Dahinter anderswo zu sehen ist: Boden, Wände, Laub, Wasser, Zäune, Himmel.",
  "instant, for scratches and dust": "sofort, für Kratzer und Staub",
  "Carries colours smoothly into the hole. Good for scratches, wires and dust; smears larger things.":
    "Führt Farben weich in das Loch hinein. Gut für Kratzer, Drähte und Staub; Größeres verschmiert.",
  "Telea (2004): fast marching. Navier-Stokes (Bertalmio et al. 2001): continues isophotes.":
    "Telea (2004): vom Rand nach innen. Navier-Stokes (Bertalmio u. a. 2001): setzt Linien gleicher Helligkeit fort.",
  "Neighbourhood of a filled pixel, in pixels of the image.": "Umgebung eines gefüllten Pixels, in Pixeln des Bildes.",
  "small and quick, for any machine": "klein und schnell, für jeden Rechner",
  "Fills in about half a second on a processor, from a download of 28 MiB. Trained on photographs of places at 512 pixels; LaMa continues structure better over large holes.":
    "Füllt auf einem Prozessor in etwa einer halben Sekunde, mit 28 MiB zum Herunterladen. Mit Fotos von Orten bei 512 Pixeln trainiert; über große Löcher setzt LaMa Strukturen besser fort.",
  "clean and fast, the all-rounder": "sauber und schnell, für fast alles",
  "Continues walls, floors, water and other repeating structure over large holes. Trained on photographs of places; best up to about two thousand pixels around the hole, and with refinement beyond.":
    "Setzt Wände, Böden, Wasser und andere Wiederholungen über große Löcher fort. Mit Fotos von Orten trainiert; am besten bis etwa zweitausend Pixel um das Loch, darüber mit Verfeinern.",
  "Coarse to fine, for large holes whose filling looks washed out. It works where the shorter side of the crop is over 724 pixels, and takes minutes on a processor.":
    "Von grob nach fein, für große Löcher, deren Füllung verwaschen aussieht. Wirkt, wo die kürzere Seite des Ausschnitts über 724 Pixel hat, und dauert auf einem Prozessor Minuten.",
  "Passes at every size but the coarsest.": "Durchgänge bei jeder Größe außer der gröbsten.",
  "At most so many sizes, each half of the next.": "Höchstens so viele Größen, jede halb so groß wie die nächste.",
  "Larger crops are refined at this size, and enlarged after.":
    "Größere Ausschnitte werden in dieser Größe verfeinert und danach vergrößert.",
  "the same network for drawings": "dasselbe Netz für Zeichnungen",
  "LaMa trained on manga and anime: flat colours, line art and screen tone. Use LaMa for photographs.":
    "LaMa, mit Manga und Anime trainiert: Farbflächen, Linien und Rasterfolie. Für Fotos LaMa verwenden.",
  "large holes, several results": "große Löcher, mehrere Ergebnisse",
  "Invents plausible content for large holes, and something else for each seed. Trained on photographs of places at 512 pixels; a little soft beyond.":
    "Erfindet Glaubhaftes für große Löcher, mit jedem Startwert etwas anderes. Mit Fotos von Orten bei 512 Pixeln trainiert; darüber etwas weich.",
  "How much results differ: 1 as trained; towards 0 they come nearer to one average result.":
    "Wie sehr sich Ergebnisse unterscheiden: 1 wie trainiert; gegen 0 nähern sie sich einem mittleren Ergebnis.",
  "repeating structure over large holes, at 512 pixels": "Wiederholungen über große Löcher, bei 512 Pixeln",
  "Continues repeating structure with Fourier convolutions and invents the rest, as LaMa and a StyleGAN in one. Trained on photographs of places; sees 512 pixels around the hole and is soft on larger ones.":
    "Setzt Wiederholungen mit Fourier-Faltungen fort und erfindet den Rest, wie LaMa und ein StyleGAN in einem. Mit Fotos von Orten trainiert; sieht 512 Pixel um das Loch und ist bei größeren weich.",
  "buildings and rooms: edges and lines first": "Gebäude und Räume: zuerst Kanten und Linien",
  "Finds the edges and straight lines around the hole, continues them through it, and draws along them. For walls, windows and furniture. What it has inferred is shown while it draws.":
    "Findet Kanten und gerade Linien um das Loch, setzt sie hindurch fort und zeichnet an ihnen entlang. Für Wände, Fenster und Möbel. Das Erschlossene ist zu sehen, während es zeichnet.",
  "Infer edges and lines. Without them the hole is filled by texture alone, in less time.":
    "Kanten und Linien erschließen. Ohne sie wird das Loch nur mit Struktur gefüllt, in kürzerer Zeit.",
  "In how many passes edges and lines are drawn into the hole, the surest pixels first.":
    "In wie vielen Durchgängen Kanten und Linien in das Loch gezeichnet werden, die sichersten Pixel zuerst.",
  "another result for each seed, rich texture, slow without a GPU":
    "mit jedem Startwert ein anderes Ergebnis, reiche Struktur, ohne Grafikkarte langsam",
  "Invents, step by step from noise, what could have been there: for large holes whose surroundings do not say what is behind. Another seed gives another result. Trained on photographs of places.":
    "Erfindet Schritt für Schritt aus Rauschen, was dort gewesen sein könnte: für große Löcher, deren Umgebung nicht sagt, was dahinter ist. Ein anderer Startwert gibt ein anderes Ergebnis. Mit Fotos von Orten trainiert.",
  "Denoising steps. Time grows with them; beyond 50 the result hardly changes.":
    "Schritte des Entrauschens. Mit ihnen wächst die Zeit; über 50 ändert sich das Ergebnis kaum.",
  "plms (Liu et al. 2022) needs fewer steps; ddim (Song et al. 2021) is the original's choice with 50.":
    "plms (Liu u. a. 2022) braucht weniger Schritte; ddim (Song u. a. 2021) mit 50 ist die Wahl des Originals.",
  "black and white manga pages: lines and screen tone": "schwarzweiße Mangaseiten: Linien und Rasterfolie",
  "Takes a page apart into lines and screen tone, continues both into the hole, and draws it in grey. For black and white pages; on a coloured one the fill is grey too. Another seed gives another result.":
    "Zerlegt eine Seite in Linien und Rasterfolie, setzt beide in das Loch fort und zeichnet es in Grau. Für schwarzweiße Seiten; auch auf farbigen ist die Füllung grau. Ein anderer Startwert gibt ein anderes Ergebnis.",
  "How often lines and screen tone are drawn, each time further into the hole.":
    "Wie oft Linien und Rasterfolie gezeichnet werden, jedes Mal weiter in das Loch hinein.",
  "paints what you say in words; another result for each seed":
    "malt, was Worte sagen; mit jedem Startwert ein anderes Ergebnis",
  "Replaces what is marked by what the words ask for, or extends a picture. On a processor a fill takes minutes; the page says how many.":
    "Ersetzt das Übermalte durch das, was die Worte verlangen, oder erweitert ein Bild. Auf einem Prozessor dauert eine Füllung Minuten; die Seite sagt, wie viele.",
  "What should be there, in English. Left empty: what fits the surroundings, in half the time.":
    "Was dort sein soll, auf Englisch. Leer: was zur Umgebung passt, in der halben Zeit.",
  "What should not be there.": "Was dort nicht sein soll, auf Englisch.",
  "Denoising steps. Time grows with them.": "Schritte des Entrauschens. Mit ihnen wächst die Zeit.",
  "How closely the words, or the example, are followed.": "Wie genau den Worten oder dem Beispiel gefolgt wird.",
  "How much of what is there is given up; below 1 its colours shine through.":
    "Wie viel vom Vorhandenen aufgegeben wird; unter 1 scheinen seine Farben durch.",
  "How noise is taken away.": "Wie das Rauschen weggenommen wird.",
  "paints what you say in words, finer and slower than the older ones":
    "malt, was Worte sagen, feiner und langsamer als die älteren",
  "Replaces what is marked by what the words ask for, at 1024 pixels. On a processor a fill takes long; the page says how many.":
    "Ersetzt das Übermalte durch das, was die Worte verlangen, bei 1024 Pixeln. Auf einem Prozessor dauert eine Füllung lange; die Seite sagt, wie lange.",
  "paints the thing of another picture into the photo": "malt das Ding eines anderen Bildes in das Foto",
  "Replaces what is marked by something like an example picture; no words. On a processor a fill takes minutes; the page says how many.":
    "Ersetzt das Übermalte durch etwas, das einem Beispielbild gleicht; ohne Worte. Auf einem Prozessor dauert eine Füllung Minuten; die Seite sagt, wie viele.",
  "A picture of what should be there. Left out: the surroundings are the example.":
    "Ein Bild von dem, was dort sein soll. Ohne: die Umgebung ist das Beispiel.",
  "changes what is marked as you order in words": "ändert das Übermalte, wie Worte es anweisen",
  "Sees what is marked and changes it as told: other weather, another material. On a processor a fill takes minutes; the page says how many.":
    "Sieht das Übermalte und ändert es wie gesagt: anderes Wetter, anderes Material. Auf einem Prozessor dauert eine Füllung Minuten; die Seite sagt, wie viele.",
  "What should change, as an order, in English.": "Was sich ändern soll, als Anweisung, auf Englisch.",
  "How closely the result keeps to the photo.": "Wie eng das Ergebnis am Foto bleibt.",
  "The first choice on a machine without other networks: small to fetch, quick, free to use.":
    "Die erste Wahl auf einem Rechner ohne andere Netze: bald heruntergeladen, schnell und frei zu verwenden.",
  "a quality was chosen": "eine Qualität wurde gewählt",
  "its canvas was changed": "seine Form wurde geändert",
  "too much of it was changed": "zu viel davon wurde geändert",
  "its colours are CMYK": "seine Farben sind CMYK",
  "numba is not installed": "auf dem Server fehlt numba",
};

/** The parameters of models, by the names that the server gives them. @type {Readonly<Record<string, string>>} */
export const PARAMETERS = {
  Example: "Beispielbild",
  Guidance: "Gewicht der Worte",
  "Image guidance": "Gewicht des Bildes",
  Method: "Verfahren",
  "Negative prompt": "Was nicht vorkommen soll",
  Passes: "Durchgänge",
  Prompt: "Worte",
  Radius: "Radius",
  Refine: "Verfeinern",
  "Refine iterations": "Durchgänge beim Verfeinern",
  "Refine megapixels": "Megapixel beim Verfeinern",
  "Refine scales": "Stufen beim Verfeinern",
  Sampler: "Verfahren des Entrauschens",
  Steps: "Schritte",
  Strength: "Stärke",
  Truncation: "Einheitlichkeit",
  Wireframe: "Drahtgitter",
};
