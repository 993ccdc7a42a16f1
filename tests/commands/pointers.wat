;; Passes addresses outside its memory, and counts beyond all bounds, and notes what comes of it.
(func $main
  (local $file i32)
  (local.set $file (call $open))
  ;; A list of pieces that is outside, and pieces that are.
  (call $note (call $fd_write (local.get $file) (i32.const -8) (i32.const 1) (i32.const 8)))
  (call $note (call $fd_write (local.get $file) (call $piece (i32.const -1) (i32.const 2)) (i32.const 1) (i32.const 8)))
  (call $note (call $fd_write (local.get $file) (call $piece (i32.const 0) (i32.const -1)) (i32.const 1) (i32.const 8)))
  (call $note (call $fd_read (i32.const 0) (call $piece (i32.const 1310719) (i32.const 2)) (i32.const 1) (i32.const 8)))
  ;; A result that has no place, and a million pieces.
  (call $note (call $clock_time_get (i32.const 0) (i64.const 1) (i32.const 1310716)))
  (call $note (call $fd_write (local.get $file) (i32.const 0) (i32.const 1000000) (i32.const 8)))
  (call $note (call $args_get (i32.const -4) (i32.const 0)))
  (call $note (call $random_get (i32.const 1) (i32.const -1)))
  (call $note (call $open_path (i32.const 1310719) (i32.const 2) (i32.const 0)))
  (call $note (call $poll_oneoff (i32.const 0) (i32.const 0) (i32.const -1) (i32.const 8)))
  (call $note (call $poll_oneoff (i32.const 1310719) (i32.const 0) (i32.const 1) (i32.const 8)))
  (call $note (call $fd_readdir (i32.const 3) (i32.const 1310719) (i32.const 100) (i64.const 0) (i32.const 8)))
  ;; Descriptors that are none, or not of this kind.
  (call $note (call $fd_close (i32.const 99)))
  (call $note (call $try_write (i32.const 0) (i32.const 16) (i32.const 1)))
  (call $note (call $try_write (i32.const 3) (i32.const 16) (i32.const 1)))
  (call $note (call $fd_seek (i32.const 0) (i64.const 0) (i32.const 0) (i32.const 2000)))
  (call $note (call $fd_seek (local.get $file) (i64.const -1) (i32.const 0) (i32.const 2000)))
  (call $note (call $fd_close (local.get $file)))
  (call $note (call $try_write (local.get $file) (i32.const 16) (i32.const 1)))
  (call $write_notes))
