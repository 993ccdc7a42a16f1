;; Writes lines, and ends with exit code 3.
(data (i32.const 1024) "to the output\nhalf a ")
(data (i32.const 1100) "first\n\1b[2Jred\n")
(func $main
  (call $write (i32.const 1) (i32.const 1024) (i32.const 21))
  (call $write (i32.const 2) (i32.const 1100) (i32.const 14))
  (call $write (i32.const 2) (i32.const 1034) (i32.const 3))
  (call $proc_exit (i32.const 3)))
