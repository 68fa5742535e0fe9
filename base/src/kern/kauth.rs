//! Policy: scopes, the listeners modules add to them, and the answer when no listener has one.
//!
//! The last word is the one of NetBSD's superuser model: effective user 0 may do anything, except execute a file without an
//! execute bit; others may do what the file's own permissions allow.

use super::cred::{self, Cred};
use super::errno::{EACCES, EPERM};
use super::string;
use crate::abi::constants::{
    KAUTH_RESULT_ALLOW, KAUTH_RESULT_DENY, KAUTH_VNODE_EXECUTE, KAUTH_VNODE_IS_EXEC, KAUTH_VNODE_READ_DATA, KAUTH_VNODE_REMOTEFS,
    KAUTH_VNODE_WRITE_DATA,
};
use crate::export::{Export, function};
use crate::kernel::kernel;
use alloc::vec::Vec;
use core::cell::RefCell;
use core::ptr;

/// A listener of module code. The action is 32 bits wide in old versions, 64 in new ones; either fits a word where it is so.
type Callback = unsafe extern "C" fn(Cred, usize, *mut u8, *mut u8, *mut u8, *mut u8, *mut u8) -> i32;

/// Scopes every kernel has.
const BUILTIN: [&str; 8] = [
    "org.netbsd.kauth.generic",
    "org.netbsd.kauth.system",
    "org.netbsd.kauth.process",
    "org.netbsd.kauth.network",
    "org.netbsd.kauth.machdep",
    "org.netbsd.kauth.device",
    "org.netbsd.kauth.cred",
    "org.netbsd.kauth.vnode",
];
const GENERIC: usize = 0;
const SYSTEM: usize = 1;
const PROCESS: usize = 2;
const NETWORK: usize = 3;
const MACHDEP: usize = 4;
const DEVICE: usize = 5;
const CRED: usize = 6;
const VNODE: usize = 7;

struct Scope {
    name: Vec<u8>,
    cookie: *mut u8,
    /// Removed ones leave their place empty: handles are indices.
    live: bool,
}

#[derive(Clone, Copy)]
struct Listener {
    handle: usize,
    /// By name: a listener may come before its scope.
    scope: usize,
    callback: Callback,
}

/// Scopes and listeners.
pub(crate) struct State {
    scopes: RefCell<Vec<Scope>>,
    listeners: RefCell<Vec<Listener>>,
}

impl Default for State {
    fn default() -> Self {
        let scope = |name: &&str| Scope { name: name.as_bytes().to_vec(), cookie: ptr::null_mut(), live: true };
        Self { scopes: RefCell::new(BUILTIN.iter().map(scope).collect()), listeners: RefCell::default() }
    }
}

impl State {
    /// The scope called `name`, made if there is none.
    fn scope(&self, name: &[u8]) -> usize {
        let mut scopes = self.scopes.borrow_mut();
        if let Some(at) = scopes.iter().position(|scope| scope.name == name) {
            return at;
        }
        scopes.push(Scope { name: name.to_vec(), cookie: ptr::null_mut(), live: false });
        scopes.len() - 1
    }

    fn listen(&self, name: &[u8], callback: Callback) -> usize {
        let scope = self.scope(name);
        let mut listeners = self.listeners.borrow_mut();
        // Handles count up from 1, so that null is none.
        let handle = listeners.iter().map(|listener| listener.handle).max().unwrap_or(0) + 1;
        listeners.push(Listener { handle, scope, callback });
        handle
    }

    fn unlisten(&self, handle: usize) -> bool {
        let mut listeners = self.listeners.borrow_mut();
        let before = listeners.len();
        listeners.retain(|listener| listener.handle != handle);
        listeners.len() != before
    }

    fn listener(&self, index: usize) -> Option<(Listener, *mut u8)> {
        let listener = *self.listeners.borrow().get(index)?;
        Some((listener, self.scopes.borrow()[listener.scope].cookie))
    }
}

/// What the listeners of a scope say, taken together.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Verdict {
    Allow,
    Deny,
    Defer,
}

impl Verdict {
    /// One refusal beats any permission.
    fn and(self, answer: i32) -> Self {
        match answer {
            KAUTH_RESULT_DENY => Self::Deny,
            KAUTH_RESULT_ALLOW if self != Self::Deny => Self::Allow,
            _ => self,
        }
    }
}

/// # Safety
/// The arguments must be what the scope's listeners expect.
unsafe fn ask(scope: usize, cred: Cred, action: usize, arguments: [*mut u8; 4]) -> Verdict {
    if cred::is_kernel(cred) {
        return Verdict::Allow;
    }
    let state = &kernel().kern.kauth;
    let mut verdict = Verdict::Defer;
    let mut index = 0;
    while let Some((listener, cookie)) = state.listener(index) {
        index += 1;
        if listener.scope == scope {
            let [a, b, c, d] = arguments;
            // SAFETY: module code registered the callback; no borrow is held.
            verdict = verdict.and(unsafe { (listener.callback)(cred, action, cookie, a, b, c, d) });
        }
    }
    verdict
}

/// # Safety
/// As [`ask`].
unsafe fn authorize(scope: usize, cred: Cred, action: usize, arguments: [*mut u8; 4]) -> i32 {
    // SAFETY: as the caller says.
    match unsafe { ask(scope, cred, action, arguments) } {
        Verdict::Allow => 0,
        Verdict::Defer if cred::effective_uid(cred) == 0 => 0,
        Verdict::Deny | Verdict::Defer => EPERM,
    }
}

/// The superuser model's answer about a file, given the file system's.
fn vnode_default(superuser: bool, action: usize, decision: i32) -> i32 {
    let executes = action as i32 & KAUTH_VNODE_EXECUTE != 0 && action as i32 & KAUTH_VNODE_IS_EXEC == 0;
    if (superuser && !executes) || decision == KAUTH_VNODE_REMOTEFS { 0 } else { decision }
}

pub(crate) unsafe extern "C" fn authorize_vnode(cred: Cred, action: usize, vp: *mut u8, dvp: *mut u8, decision: i32) -> i32 {
    let none = ptr::null_mut();
    // SAFETY: the arguments of the vnode scope.
    match unsafe { ask(VNODE, cred, action, [vp, dvp, none, none]) } {
        Verdict::Allow => 0,
        Verdict::Deny => EACCES,
        Verdict::Defer => vnode_default(cred::effective_uid(cred) == 0, action, decision),
    }
}

/// Scopes whose calls are an action, a request and three more arguments.
macro_rules! with_request {
    ($($name:ident = $scope:ident;)*) => {
        $(unsafe extern "C" fn $name(cred: Cred, action: usize, request: usize, a: *mut u8, b: *mut u8, c: *mut u8) -> i32 {
            // The request is an enumerator: its upper half is not defined.
            let request = request as u32 as usize as *mut u8;
            // SAFETY: the arguments of this scope.
            unsafe { authorize($scope, cred, action, [request, a, b, c]) }
        })*
    };
}

with_request! {
    authorize_system = SYSTEM;
    authorize_network = NETWORK;
}

/// Scopes whose calls are an action and up to four arguments.
macro_rules! with_arguments {
    ($($name:ident($($argument:ident),*) = $scope:ident [$($given:expr),*];)*) => {
        $(unsafe extern "C" fn $name(cred: Cred, action: usize, $($argument: *mut u8),*) -> i32 {
            // SAFETY: the arguments of this scope.
            unsafe { authorize($scope, cred, action, [$($given),*]) }
        })*
    };
}

with_arguments! {
    authorize_generic(a) = GENERIC [a, ptr::null_mut(), ptr::null_mut(), ptr::null_mut()];
    authorize_process(p, a, b, c) = PROCESS [p, a, b, c];
    authorize_machdep(a, b, c, d) = MACHDEP [a, b, c, d];
    authorize_device(a, b, c, d) = DEVICE [a, b, c, d];
    authorize_device_tty(tty) = DEVICE [tty, ptr::null_mut(), ptr::null_mut(), ptr::null_mut()];
    authorize_cred(a, b, c, d) = CRED [a, b, c, d];
}

unsafe extern "C" fn authorize_device_spec(cred: Cred, request: usize, vp: *mut u8) -> i32 {
    let (request, none) = (request as u32 as usize as *mut u8, ptr::null_mut());
    // SAFETY: the arguments of this action.
    unsafe { authorize(DEVICE, cred, crate::abi::constants::KAUTH_DEVICE_RAWIO_SPEC as usize, [request, vp, none, none]) }
}

unsafe extern "C" fn authorize_device_passthru(cred: Cred, dev: u64, bits: usize, data: *mut u8) -> i32 {
    let arguments = [bits as *mut u8, dev as usize as *mut u8, data, ptr::null_mut()];
    // SAFETY: the arguments of this action.
    unsafe { authorize(DEVICE, cred, crate::abi::constants::KAUTH_DEVICE_RAWIO_PASSTHRU as usize, arguments) }
}

unsafe extern "C" fn authorize_action(
    scope: usize,
    cred: Cred,
    action: usize,
    a: *mut u8,
    b: *mut u8,
    c: *mut u8,
    d: *mut u8,
) -> i32 {
    // SAFETY: module code passes what its scope's listeners expect. Scope handles are index + 1.
    unsafe { authorize(scope.wrapping_sub(1), cred, action, [a, b, c, d]) }
}

/// Adds a scope; answers its handle, null if there is one of that name.
unsafe extern "C" fn register_scope(name: *const u8, callback: Option<Callback>, cookie: *mut u8) -> usize {
    let state = &kernel().kern.kauth;
    // SAFETY: module code passes a C string.
    let name = unsafe { string::bytes(name) };
    let at = state.scope(name);
    {
        let mut scopes = state.scopes.borrow_mut();
        if scopes[at].live {
            return 0;
        }
        scopes[at].live = true;
        scopes[at].cookie = cookie;
    }
    if let Some(callback) = callback {
        state.listen(name, callback);
    }
    at + 1
}

unsafe extern "C" fn deregister_scope(scope: usize) {
    let state = &kernel().kern.kauth;
    if let Some(scope) = state.scopes.borrow_mut().get_mut(scope.wrapping_sub(1)) {
        scope.live = false;
        scope.cookie = ptr::null_mut();
    }
    state.listeners.borrow_mut().retain(|listener| listener.scope != scope.wrapping_sub(1));
}

unsafe extern "C" fn listen_scope(name: *const u8, callback: Callback, _cookie: *mut u8) -> usize {
    // SAFETY: module code passes a C string.
    kernel().kern.kauth.listen(unsafe { string::bytes(name) }, callback)
}

unsafe extern "C" fn unlisten_scope(handle: usize) {
    if !kernel().kern.kauth.unlisten(handle) {
        super::panic::panic_message("kauth_unlisten_scope of a listener that is not registered");
    }
}

/// The vnode actions that access bits stand for.
pub(crate) unsafe extern "C" fn mode_to_action(mode: u32) -> usize {
    let constant = &kernel().abi.constant;
    let pairs = [
        (constant.vread, KAUTH_VNODE_READ_DATA),
        (constant.vwrite, KAUTH_VNODE_WRITE_DATA),
        (constant.vexec, KAUTH_VNODE_EXECUTE),
    ];
    pairs.iter().filter(|(bit, _)| i64::from(mode) & bit != 0).fold(0, |action, (_, more)| action | *more as usize)
}

pub(crate) const EXPORTS: &[Export] = &[
    function!("kauth_authorize_action", authorize_action),
    function!("kauth_authorize_generic", authorize_generic),
    function!("kauth_authorize_system", authorize_system),
    function!("kauth_authorize_process", authorize_process),
    function!("kauth_authorize_network", authorize_network),
    function!("kauth_authorize_machdep", authorize_machdep),
    function!("kauth_authorize_device", authorize_device),
    function!("kauth_authorize_device_tty", authorize_device_tty),
    function!("kauth_authorize_device_spec", authorize_device_spec),
    function!("kauth_authorize_device_passthru", authorize_device_passthru),
    function!("kauth_authorize_cred", authorize_cred),
    function!("kauth_authorize_vnode", authorize_vnode),
    function!("kauth_register_scope", register_scope),
    function!("kauth_deregister_scope", deregister_scope),
    function!("kauth_listen_scope", listen_scope),
    function!("kauth_unlisten_scope", unlisten_scope),
    function!("kauth_mode_to_action", mode_to_action),
    function!("kauth_accmode_to_action", mode_to_action),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Bench;

    unsafe extern "C" fn nobody(_: Cred, _: usize, _: *mut u8, _: *mut u8, _: *mut u8, _: *mut u8, _: *mut u8) -> i32 {
        KAUTH_RESULT_DENY
    }

    #[test]
    fn one_refusal_beats_any_permission() {
        let defer = crate::abi::constants::KAUTH_RESULT_DEFER;
        assert_eq!(Verdict::Defer.and(defer), Verdict::Defer);
        assert_eq!(Verdict::Defer.and(KAUTH_RESULT_ALLOW).and(defer), Verdict::Allow);
        assert_eq!(Verdict::Allow.and(KAUTH_RESULT_DENY).and(KAUTH_RESULT_ALLOW), Verdict::Deny);
    }

    #[test]
    fn the_superuser_cannot_execute_what_is_not_executable() {
        let read = KAUTH_VNODE_READ_DATA as usize;
        let execute = KAUTH_VNODE_EXECUTE as usize;
        assert_eq!(vnode_default(true, read, EACCES), 0);
        assert_eq!(vnode_default(false, read, EACCES), EACCES);
        assert_eq!(vnode_default(false, read, 0), 0);
        assert_eq!(vnode_default(true, execute, EACCES), EACCES);
        assert_eq!(vnode_default(true, execute | KAUTH_VNODE_IS_EXEC as usize, EACCES), 0);
        assert_eq!(vnode_default(false, read, KAUTH_VNODE_REMOTEFS), 0);
    }

    #[test]
    fn listeners_come_and_go() {
        let state = State::default();
        assert_eq!(state.scope(b"org.netbsd.kauth.vnode"), VNODE);
        let one = state.listen(b"org.netbsd.kauth.system", nobody);
        let two = state.listen(b"a scope to come", nobody);
        assert!(one != 0 && one != two);
        assert_eq!(state.listener(0).unwrap().0.scope, SYSTEM);
        assert_eq!(state.listener(1).unwrap().0.scope, BUILTIN.len());
        assert!(state.unlisten(one) && !state.unlisten(one));
        assert_eq!(state.listener(0).unwrap().0.handle, two);
    }

    unsafe extern "C" fn allows_seven(
        _: Cred,
        action: usize,
        _: *mut u8,
        request: *mut u8,
        _: *mut u8,
        _: *mut u8,
        _: *mut u8,
    ) -> i32 {
        let asked = (action, request.addr());
        if asked == (7, 3) { KAUTH_RESULT_ALLOW } else { crate::abi::constants::KAUTH_RESULT_DEFER }
    }

    #[test]
    fn who_is_not_the_superuser_needs_a_listener() {
        let bench = Bench::new();
        bench.inside(|| {
            let (root, user, none) = (cred::current(), cred::user(9, 9), ptr::null_mut());
            // SAFETY: the listeners look at no argument but the request.
            unsafe {
                let ask = |cred, action, request| authorize_system(cred, action, request, none, none, none);
                assert_eq!((ask(root, 7, 3), ask(user, 7, 3)), (0, EPERM));
                let one = listen_scope(c"org.netbsd.kauth.system".as_ptr().cast(), allows_seven, none);
                assert_eq!((ask(user, 7, 3), ask(user, 7, 4), ask(user, 8, 3)), (0, EPERM, EPERM));
                let two = listen_scope(c"org.netbsd.kauth.system".as_ptr().cast(), nobody, none);
                assert_eq!((ask(root, 7, 3), ask(cred::FSCRED as Cred, 7, 3)), (EPERM, 0));
                unlisten_scope(two);
                unlisten_scope(one);
                assert_eq!(ask(user, 7, 3), EPERM);
                assert_eq!(authorize_vnode(user, 1, none, none, EACCES), EACCES);
                assert_eq!(authorize_vnode(root, 1, none, none, EACCES), 0);
                let scope = register_scope(c"com.example".as_ptr().cast(), Some(nobody), none);
                assert_eq!(authorize_action(scope, root, 1, none, none, none, none), EPERM);
                assert_eq!(register_scope(c"com.example".as_ptr().cast(), None, none), 0);
                deregister_scope(scope);
                assert_eq!(authorize_action(scope, root, 1, none, none, none, none), 0);
                let constant = &kernel().abi.constant;
                assert_eq!(mode_to_action((constant.vread | constant.vexec) as u32), 1 | 4);
            }
        });
    }
}
