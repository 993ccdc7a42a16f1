;; Makes its partition larger, and refuses with the error that it gets.
(import "wasi:filesystem/types@0.2.12" "[method]descriptor.set-size"
  (func $set_size (param i32 i64 i32)))

(func $format (param $partition i32) (result i32)
  (call $set_size (local.get $partition) (i64.const 4294967296) (i32.const 1024))
  (if (i32.eqz (i32.load8_u (i32.const 1024))) (then (return (i32.const -1))))
  (i32.load8_u (i32.const 1025)))
