;; Writes 64 MiB without the end of a line, and a million empty and short lines.
(func $main
  (local $left i32)
  (local.set $left (i32.const 1024))
  (loop $more
    (call $write (i32.const 2) (i32.const 65536) (i32.const 65536))
    (local.set $left (i32.sub (local.get $left) (i32.const 1)))
    (br_if $more (local.get $left)))
  (i32.store16 (i32.const 1024) (i32.const 0x0a78))
  (local.set $left (i32.const 1000000))
  (loop $lines
    (call $write (i32.const 2) (i32.const 1024) (i32.const 2))
    (local.set $left (i32.sub (local.get $left) (i32.const 1)))
    (br_if $lines (local.get $left))))
