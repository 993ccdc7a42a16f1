;; Writes eight bytes across the end of its partition of 1 MiB, and refuses with the error that it gets.
(import "wasi:filesystem/types@0.2.12" "[method]descriptor.write"
  (func $write (param i32 i32 i32 i64 i32)))

(func $format (param $partition i32) (result i32)
  (call $write (local.get $partition) (i32.const 0) (i32.const 8) (i64.const 1048572) (i32.const 1024))
  (if (i32.eqz (i32.load8_u (i32.const 1024))) (then (return (i32.const -1))))
  (i32.load8_u (i32.const 1032)))
