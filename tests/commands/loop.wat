;; Waits for a time that does not come.
(func $main (loop $for_ever
  (call $must (call $clock_time_get (i32.const 0) (i64.const 1) (i32.const 65536)))
  (br $for_ever)))
