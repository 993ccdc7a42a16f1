;; Says something, and cannot go on.
(data (i32.const 1024) "it is over")
(func $main
  (call $write (i32.const 2) (i32.const 1024) (i32.const 10))
  (unreachable))
