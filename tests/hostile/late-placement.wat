;; Lets about a second pass, and then asks for the content of node 1, a file of 4 MiB.
(import "cellblock:format/placement@0.1.5" "place"
  (func $place (param i32 i32 i32)))

;; file, file offset, partition offset, length, padding
(data (i32.const 1024)
  "\01\00\00\00\00\00\00\00" "\00\00\00\00\00\00\00\00" "\00\00\00\00\00\00\00\00"
  "\00\00\40\00\00\00\00\00" "\00\00\00\00\00\00\00\00")

(func $format (param $partition i32) (result i32)
  (local $turn i64)
  (loop $again
    (local.set $turn (i64.add (local.get $turn) (i64.const 1)))
    (i64.store (i32.const 2048) (local.get $turn))
    (br_if $again (i64.lt_u (i64.load (i32.const 2048)) (i64.const 600000000))))
  (call $place (i32.const 1024) (i32.const 1) (i32.const 1080))
  (i32.const -1))
