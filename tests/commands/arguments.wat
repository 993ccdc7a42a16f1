;; Writes its arguments to the partition, as they lie in memory, and before them how many bytes of environment there are.
(func $main
  (call $must (call $environ_sizes_get (i32.const 32) (i32.const 36)))
  (call $must (call $args_sizes_get (i32.const 40) (i32.const 44)))
  (call $must (call $args_get (i32.const 1024) (i32.const 65536)))
  (call $write (call $open) (i32.const 65536) (i32.load (i32.const 44))))
