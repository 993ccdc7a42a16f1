;; What every formatter of the contract has, around a function `$format` of its own.
;;
;;    0  text             256  description      320  kinds
;;  512  answers         1024  scratch         4096  what the host passes

(memory (export "memory") 1)
(global $free (mut i32) (i32.const 4096))

(func (export "cabi_realloc") (param $old i32) (param $old_size i32) (param $align i32) (param $size i32) (result i32)
  (local $start i32)
  (local.set $start
    (i32.and
      (i32.add (global.get $free) (i32.sub (local.get $align) (i32.const 1)))
      (i32.sub (i32.const 0) (local.get $align))))
  (global.set $free (i32.add (local.get $start) (local.get $size)))
  (local.get $start))

(data (i32.const 0) "hostile" "0.1.0" "Tries what it may not." "/etc/passwd")
;; name, version, summary, kinds, options: an address and a length each; the longest label; what it lacks
(data (i32.const 256)
  "\00\00\00\00" "\07\00\00\00"
  "\07\00\00\00" "\05\00\00\00"
  "\0c\00\00\00" "\16\00\00\00"
  "\40\01\00\00" "\01\00\00\00"
  "\00\00\00\00" "\00\00\00\00"
  "\10\00\00\00" "\00\00\00\00")
(data (i32.const 320) "\00\00\00\00" "\07\00\00\00")

(func (export "cellblock:format/formatter@0.1.0#describe") (result i32)
  (i32.const 256))

(func (export "cellblock:format/formatter@0.1.0#measure")
  (param i32 i32 i64 i64 i32 i32 i32 i64 i64 i64 i64 i64 i32 i32 i32 i32) (result i32)
  (i32.store8 (i32.const 512) (i32.const 0))
  (i64.store (i32.const 520) (i64.const 1048576))
  (i32.const 512))

(func (export "cellblock:format/formatter@0.1.0#format") (param $arguments i32) (result i32)
  (local $code i32)
  (local.set $code (call $format (i32.load (local.get $arguments))))
  (if (i32.ge_s (local.get $code) (i32.const 0))
    (then
      ;; an error, and of those the tenth: partition(error-code)
      (i32.store8 (i32.const 512) (i32.const 1))
      (i32.store8 (i32.const 520) (i32.const 9))
      (i32.store8 (i32.const 528) (local.get $code)))
    (else
      ;; a summary: nothing used, and no properties
      (i32.store8 (i32.const 512) (i32.const 0))
      (i64.store (i32.const 520) (i64.const 0))
      (i64.store (i32.const 528) (i64.const 0))))
  (i32.const 512))
