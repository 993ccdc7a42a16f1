;; Writes 64 MiB in pieces of 4 KiB.
(func $main
  (local $file i32)
  (local $left i32)
  (local.set $file (call $open))
  (memory.fill (i32.const 65536) (i32.const 0x55) (i32.const 4096))
  (local.set $left (i32.const 16384))
  (loop $more
    (call $write (local.get $file) (i32.const 65536) (i32.const 4096))
    (local.set $left (i32.sub (local.get $left) (i32.const 1)))
    (br_if $more (local.get $left))))
