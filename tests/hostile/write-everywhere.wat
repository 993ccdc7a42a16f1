;; Tries to write after its partition of 1 MiB and far away, says nothing of the errors, and claims success.
(import "wasi:filesystem/types@0.2.12" "[method]descriptor.write"
  (func $write (param i32 i32 i32 i64 i32)))

(func $format (param $partition i32) (result i32)
  (call $write (local.get $partition) (i32.const 0) (i32.const 8) (i64.const 1048576) (i32.const 1024))
  (call $write (local.get $partition) (i32.const 0) (i32.const 8) (i64.const -1048576) (i32.const 1024))
  (call $write (local.get $partition) (i32.const 0) (i32.const 8) (i64.const -4) (i32.const 1024))
  (i32.const -1))
