;; A command of preview 1. What a test puts in here defines `$main`, and may use the rest.
(module
  (import "wasi_snapshot_preview1" "args_get" (func $args_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "args_sizes_get" (func $args_sizes_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "environ_sizes_get" (func $environ_sizes_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "clock_time_get" (func $clock_time_get (param i32 i64 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_allocate" (func $fd_allocate (param i32 i64 i64) (result i32)))
  (import "wasi_snapshot_preview1" "fd_close" (func $fd_close (param i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_fdstat_get" (func $fd_fdstat_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_filestat_get" (func $fd_filestat_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_filestat_set_size" (func $fd_filestat_set_size (param i32 i64) (result i32)))
  (import "wasi_snapshot_preview1" "fd_pread" (func $fd_pread (param i32 i32 i32 i64 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_prestat_get" (func $fd_prestat_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_pwrite" (func $fd_pwrite (param i32 i32 i32 i64 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read" (func $fd_read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_readdir" (func $fd_readdir (param i32 i32 i32 i64 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_seek" (func $fd_seek (param i32 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_create_directory" (func $path_create_directory (param i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_filestat_get" (func $path_filestat_get (param i32 i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_open" (func $path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_readlink" (func $path_readlink (param i32 i32 i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_rename" (func $path_rename (param i32 i32 i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_symlink" (func $path_symlink (param i32 i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_unlink_file" (func $path_unlink_file (param i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll_oneoff (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (import "wasi_snapshot_preview1" "random_get" (func $random_get (param i32 i32) (result i32)))

  (memory (export "memory") 20)
  (data (i32.const 16) "partition.img")

  ;; The number that a call wrote to address 8.
  (func $result (result i32) (i32.load (i32.const 8)))

  ;; Ends with the error's number, unless there is none.
  (func $must (param $errno i32)
    (if (local.get $errno) (then (call $proc_exit (local.get $errno)))))

  ;; Opens a path in the root for reading and writing: an error number, and the descriptor is at address 8.
  (func $open_path (param $path i32) (param $length i32) (param $how i32) (result i32)
    (call $path_open (i32.const 3) (i32.const 1) (local.get $path) (local.get $length) (local.get $how)
      (i64.const 0x1fffffff) (i64.const 0x1fffffff) (i32.const 0) (i32.const 8)))

  ;; Opens the partition: the descriptor.
  (func $open (result i32)
    (call $must (call $open_path (i32.const 16) (i32.const 13) (i32.const 0)))
    (call $result))

  ;; The one piece of memory that a call is about.
  (func $piece (param $address i32) (param $length i32) (result i32)
    (i32.store (i32.const 0) (local.get $address))
    (i32.store (i32.const 4) (local.get $length))
    (i32.const 0))

  ;; Reads: the number of bytes.
  (func $read (param $fd i32) (param $address i32) (param $length i32) (result i32)
    (call $must (call $fd_read (local.get $fd) (call $piece (local.get $address) (local.get $length)) (i32.const 1) (i32.const 8)))
    (call $result))

  ;; Writes: an error number, and how many bytes it was is at address 8.
  (func $try_write (param $fd i32) (param $address i32) (param $length i32) (result i32)
    (call $fd_write (local.get $fd) (call $piece (local.get $address) (local.get $length)) (i32.const 1) (i32.const 8)))

  (func $write (param $fd i32) (param $address i32) (param $length i32)
    (call $must (call $try_write (local.get $fd) (local.get $address) (local.get $length))))

  ;; Puts an error number behind those before it, from address 65536 on; address 12 has how many there are.
  (func $note (param $errno i32)
    (i32.store8 (i32.add (i32.const 65536) (i32.load (i32.const 12))) (local.get $errno))
    (i32.store (i32.const 12) (i32.add (i32.load (i32.const 12)) (i32.const 1))))

  ;; Writes the notes to the partition.
  (func $write_notes
    (call $write (call $open) (i32.const 65536) (i32.load (i32.const 12))))

  BODY

  (func (export "_start") (call $main)))
