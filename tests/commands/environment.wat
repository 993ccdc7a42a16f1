;; Writes what a machine would tell: the time on the wall, what the other clock shows before and after a wait of 5 s, and 64
;; random bytes.
(func $main
  (call $must (call $clock_time_get (i32.const 0) (i64.const 1) (i32.const 65536)))
  (call $must (call $clock_time_get (i32.const 1) (i64.const 1) (i32.const 65544)))
  ;; A subscription to the monotonic clock.
  (i32.store8 (i32.const 1032) (i32.const 0))
  (i32.store (i32.const 1040) (i32.const 1))
  (i64.store (i32.const 1048) (i64.const 5000000000))
  (call $must (call $poll_oneoff (i32.const 1024) (i32.const 2048) (i32.const 1) (i32.const 8)))
  (call $must (call $clock_time_get (i32.const 1) (i64.const 1) (i32.const 65552)))
  (call $must (call $clock_time_get (i32.const 0) (i64.const 1) (i32.const 65560)))
  (call $must (call $random_get (i32.const 65568) (i32.const 64)))
  (call $write (call $open) (i32.const 65536) (i32.const 96)))
