//! Who a cell's process is: nobody, with no rights, in namespaces of its own as far as the kernel lets it.
//!
//! What fails here is no reason not to run: Landlock and seccomp hold without it. What succeeded is told to the host.

use rustix::process::{DumpableBehavior, Gid, Uid, geteuid, set_dumpable_behavior};
use rustix::thread::{
    CapabilitySet, CapabilitySets, UnshareFlags, capabilities, set_capabilities, set_no_new_privs,
    set_thread_groups, set_thread_res_gid, set_thread_res_uid, unshare_unsafe,
};

/// The user and the group that own nothing, by convention `nobody`.
const NOBODY: u32 = 65534;

/// Namespaces in which a process sees nothing of the host's. That of processes is not among them: it holds for what is
/// started in it, so that it is the host who sees to it.
const NAMESPACES: [(UnshareFlags, &str); 4] = [
    (UnshareFlags::NEWNET, "network-namespace"),
    (UnshareFlags::NEWIPC, "ipc-namespace"),
    (UnshareFlags::NEWUTS, "uts-namespace"),
    (UnshareFlags::NEWNS, "mount-namespace"),
];

/// Leaves the host's user, every capability, and its namespaces but for `namespaces`, which this process was started without:
/// what was left, as the layers of the wall are called. The process has one thread, which all of this holds for.
///
/// # Errors
/// What the kernel says where a capability cannot be given up.
pub(super) fn become_nobody(namespaces: Vec<&'static str>) -> Result<Vec<&'static str>, String> {
    let mut left = namespaces;
    if !left.contains(&NAMESPACES[0].1) {
        left.extend(leave_namespaces());
    }
    if geteuid().is_root() && host_can_kill_others() && change_user().is_ok() {
        left.push("user");
    }
    let none = CapabilitySets {
        effective: CapabilitySet::empty(),
        permitted: CapabilitySet::empty(),
        inheritable: CapabilitySet::empty(),
    };
    let said = |call: &str, error: rustix::io::Errno| format!("{call}, which says: {error}");
    set_capabilities(None, none).map_err(|error| said("capset", error))?;
    set_no_new_privs(true).map_err(|error| said("PR_SET_NO_NEW_PRIVS", error))?;
    // After the change of the user, which decides it anew.
    set_dumpable_behavior(DumpableBehavior::NotDumpable)
        .map_err(|error| said("PR_SET_DUMPABLE", error))?;
    left.extend(["capabilities", "not-dumpable"]);
    Ok(left)
}

fn leave_namespaces() -> Vec<&'static str> {
    let mut left = Vec::new();
    let mut may_have_rights = true;
    for (namespace, name) in NAMESPACES {
        let mut is_left = unshare(namespace);
        // Without a right to it, a namespace of users gives one, and takes all rights outside.
        if !is_left && std::mem::take(&mut may_have_rights) && unshare(UnshareFlags::NEWUSER) {
            left.push("user-namespace");
            is_left = unshare(namespace);
        }
        if is_left {
            left.push(name);
        }
    }
    left
}

#[expect(unsafe_code, reason = "one of the flags would take descriptors away")]
fn unshare(namespace: UnshareFlags) -> bool {
    // SAFETY: no descriptors are unshared.
    unsafe { unshare_unsafe(namespace) }.is_ok()
}

/// Whether the host, whose rights this process still has, could end it as another user's.
fn host_can_kill_others() -> bool {
    capabilities(None).is_ok_and(|sets| sets.effective.contains(CapabilitySet::KILL))
}

fn change_user() -> Result<(), rustix::io::Errno> {
    set_thread_groups(&[])?;
    let (user, group) = (Uid::from_raw(NOBODY), Gid::from_raw(NOBODY));
    set_thread_res_gid(group, group, group)?;
    set_thread_res_uid(user, user, user)
}
