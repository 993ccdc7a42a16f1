//! The system calls that a cell's process is left with.

/// Time, waiting, memory and the end, and what a thread begins with: the engine's may be slow to start.
pub(super) const RUNNING: &[i64] = &[
    libc::SYS_brk,
    libc::SYS_clock_gettime,
    libc::SYS_close,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_futex,
    libc::SYS_getpid,
    libc::SYS_getrandom,
    libc::SYS_gettid,
    libc::SYS_madvise,
    libc::SYS_mremap,
    libc::SYS_munmap,
    libc::SYS_restart_syscall,
    libc::SYS_rseq,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sched_yield,
    libc::SYS_set_robust_list,
    libc::SYS_sigaltstack,
];

/// On the channel only, once a guest runs.
pub(super) const ON_CHANNEL: &[i64] = &[
    libc::SYS_read,
    libc::SYS_recvfrom,
    libc::SYS_sendto,
    libc::SYS_write,
];

/// Of no file and without execution, once a guest runs.
pub(super) const ON_MEMORY: &[i64] = &[libc::SYS_mmap, libc::SYS_mprotect, libc::SYS_tgkill];

/// What compiling a guest takes beyond that, and keeping the result, and the way to the second stage.
pub(super) const LOADING: &[i64] = &[
    libc::SYS_faccessat,
    libc::SYS_fcntl,
    libc::SYS_fstat,
    libc::SYS_ftruncate,
    libc::SYS_getcwd,
    libc::SYS_getdents64,
    libc::SYS_getpriority,
    libc::SYS_landlock_add_rule,
    libc::SYS_landlock_create_ruleset,
    libc::SYS_landlock_restrict_self,
    libc::SYS_lseek,
    libc::SYS_membarrier,
    libc::SYS_mkdirat,
    libc::SYS_newfstatat,
    libc::SYS_openat,
    libc::SYS_prctl,
    libc::SYS_pread64,
    libc::SYS_prlimit64,
    libc::SYS_readlinkat,
    libc::SYS_renameat2,
    libc::SYS_sched_getaffinity,
    libc::SYS_seccomp,
    libc::SYS_setpriority,
    libc::SYS_statx,
    libc::SYS_unlinkat,
];

/// The same under the names that older machines have for it.
#[cfg(target_arch = "x86_64")]
pub(super) const LOADING_OLDER: &[i64] = &[
    libc::SYS_access,
    libc::SYS_lstat,
    libc::SYS_mkdir,
    libc::SYS_open,
    libc::SYS_readlink,
    libc::SYS_rename,
    libc::SYS_stat,
    libc::SYS_unlink,
];

/// The same under the names that older machines have for it.
#[cfg(target_arch = "aarch64")]
pub(super) const LOADING_OLDER: &[i64] = &[libc::SYS_renameat];

/// The same under the names that older machines have for it.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
pub(super) const LOADING_OLDER: &[i64] = &[];
