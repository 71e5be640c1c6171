"""What networks share that are published as ONNX: onnxruntime runs them, on the processor."""
