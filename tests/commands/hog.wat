;; Takes memory as long as there is some, and cannot do without more.
(func $main
  (loop $more
  (br_if $more (i32.ne (memory.grow (i32.const 16)) (i32.const -1))))
  (unreachable))
