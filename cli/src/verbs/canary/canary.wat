;; Prints its arguments, each with a NUL behind it. canary.wasm is what this compiles to; a test proves it.
(module
  (import "wasi_snapshot_preview1" "fd_write" (func (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "args_sizes_get" (func (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "args_get" (func (param i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "_start")
    ;; At 8 how many there are, at 4 how many bytes they have: the length of what is written.
    (drop (call 1 (i32.const 8) (i32.const 4)))
    (drop (call 2 (i32.const 1024) (i32.const 4096)))
    (i32.store (i32.const 0) (i32.const 4096))
    (drop (call 0 (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 16)))))
