//! Order, parameters, refusals, roll-back.

use crate::compile::Modules;
use crate::{Bench, Error};
use rumpload::autoload::AllowList;
use rumpload::linux::Refused;
use rumpload::registry::Refusal;
use rumpload_base_linux::{Boot, Kernel, Trigger};
use rumpload_hosted::{GsBase, host};
use std::sync::Arc;

const PAIR: [(&str, &str, &[&str]); 2] = [("provider", "provider.c", &[]), ("user", "user.c", &["DEPENDS=provider"])];

#[test]
fn what_a_module_depends_on_comes_first() {
    let bench = Bench::new(&PAIR);
    bench.kernel.load("user").unwrap();
    assert_eq!(bench.printed(), "provider came\nuser: nothing 5 0\n");
    assert_eq!(bench.names(), ["provider", "user"]);
    assert_eq!(bench.call("used", &[10]), Ok(16));
    assert_eq!(bench.kernel.load("user"), Err(Error::Exists { module: "user".into() }));
    assert_eq!(bench.kernel.unload("provider"), Err(Error::Busy { module: "provider".into(), references: 1 }));
    bench.kernel.unload("user").unwrap();
    assert_eq!(bench.names(), ["provider"]);
    assert_eq!(bench.kernel.symbol("used"), None);
    bench.kernel.unload("provider").unwrap();
    assert_eq!(bench.printed(), "user went\nprovider went\n");
    assert_eq!(bench.kernel.unload("provider"), Err(Error::NotActive { module: "provider".into() }));
}

#[test]
fn a_symbol_brings_its_module() {
    let bench = Bench::new(&PAIR);
    assert_eq!(bench.call("used", &[1]), Ok(7));
    assert_eq!(bench.names(), ["provider", "user"]);
    assert_eq!(bench.call("unheard_of", &[]), Err(Error::NoProvider { wanted: "unheard_of".into() }));
    // What is there already loads nothing.
    bench.printed();
    bench.kernel.autoload(Trigger::Symbol("provided")).unwrap();
    bench.kernel.autoload(Trigger::Module("user")).unwrap();
    bench.kernel.autoload(Trigger::Symbol("kfree")).unwrap();
    assert_eq!(bench.printed(), "");
}

#[test]
fn parameters_are_set_before_init() {
    let bench = Bench::new(&PAIR);
    let set = |values: &[(&str, &str)]| bench.kernel.load_with("user", values);
    let refused = |parameter: &str, errno| Err(Error::Parameter { module: "user".into(), parameter: parameter.into(), errno });
    assert_eq!(set(&[("number", "7"), ("colour", "red")]), refused("colour", 2));
    assert_eq!(set(&[("number", "seven")]), refused("number", 22));
    assert_eq!(set(&[("number", "2147483648")]), refused("number", 34));
    // Nothing came of it, and what it depends on went again.
    assert!(bench.names().is_empty());
    bench.printed();
    set(&[("text", "something"), ("number", "-0x10"), ("flag", "Y")]).unwrap();
    assert_eq!(bench.printed(), "provider came\nuser: something -16 1\n");
    assert_eq!(bench.call("used", &[100]).map(|value| value as i32), Ok(85));
}

#[test]
fn a_failed_init_leaves_nothing() {
    let bench = Bench::new(&[PAIR[0], ("user", "user.c", &["DEPENDS=provider", "FAILS"])]);
    assert_eq!(bench.kernel.load("user"), Err(Error::Init { module: "user".into(), errno: 19 }));
    assert!(bench.names().is_empty() && bench.kernel.symbol("provided").is_none());
    // What the init had registered lies in memory that is gone.
    assert!(bench.kernel.charsets().is_empty());
    assert_eq!(bench.printed(), "provider came\nprovider went\n");
    // One that was there before stays.
    bench.kernel.load("provider").unwrap();
    bench.kernel.load("user").unwrap_err();
    assert_eq!(bench.names(), ["provider"]);
    bench.kernel.unload("provider").unwrap();
}

#[test]
fn a_failed_requirement_is_named() {
    let bench = Bench::new(&[("user", "user.c", &["DEPENDS=provider,absent"]), PAIR[0]]);
    let cause = Box::new(Error::NotFound { module: "absent".into() });
    let expected = Error::Dependency { module: "user".into(), required: "absent".into(), cause };
    assert_eq!(bench.kernel.load("user"), Err(expected));
    assert_eq!(bench.printed(), "");
    assert_eq!(bench.kernel.load("absent"), Err(Error::NotFound { module: "absent".into() }));
}

#[test]
fn circles_are_refused() {
    let bench = Bench::new(&[("one", "provider.c", &["DEPENDS=two"]), ("two", "provider.c", &["DEPENDS=one"])]);
    let error = bench.kernel.load("one").unwrap_err();
    assert!(matches!(&error, Error::Dependency { cause, .. } if matches!(**cause, Error::Cycle { .. })), "{error}");
    assert!(bench.names().is_empty());
}

#[test]
fn modules_that_do_not_fit_are_refused() {
    let bench = Bench::new(&[
        PAIR[0],
        ("other-kernel", "provider.c", &["VERMAGIC=\"6.1.0-1-amd64 SMP preempt mod_unload \""]),
        ("unlicensed", "user.c", &["DEPENDS=provider", "LICENSE=\"Proprietary\"", "provided=provided_calls"]),
        ("twice", "provider.c", &[]),
        ("undeclared", "user.c", &[]),
        ("no-exit", "provider.c", &["NO_EXIT", "provided=another", "provided_calls=another_calls"]),
    ]);
    let kernel = &bench.kernel;
    assert!(matches!(kernel.load("other-kernel"), Err(Error::Refused(Refused::Vermagic { .. }))));
    // A symbol that nobody it depends on exports.
    assert!(matches!(kernel.load("undeclared"), Err(Error::Link { .. })));
    let refused = kernel.load("unlicensed");
    assert!(matches!(refused, Err(Error::Refused(Refused::GplOnly { .. }))), "{refused:?}");
    assert!(bench.names().is_empty());
    kernel.load("provider").unwrap();
    let symbols = vec!["provided".into(), "provided_calls".into()];
    assert_eq!(kernel.load("twice"), Err(Error::Redefined { module: "twice".into(), symbols }));
    kernel.load("no_exit").unwrap();
    assert_eq!(kernel.unload("no_exit"), Err(Error::Permanent { module: "no_exit".into() }));
}

#[test]
fn damaged_files_are_refused() {
    let modules = Modules::new();
    modules.compile("a", "provider.c", &[]);
    let whole = std::fs::read(modules.path().join("a.ko")).unwrap();
    std::fs::write(modules.path().join("half.ko"), &whole[..whole.len() / 2]).unwrap();
    std::fs::write(modules.path().join("empty.ko"), []).unwrap();
    std::fs::write(modules.path().join("renamed.ko"), &whole).unwrap();
    let bench = Bench::boot(modules).unwrap();
    assert!(matches!(bench.kernel.load("half"), Err(Error::Link { .. })));
    assert!(matches!(bench.kernel.load("empty"), Err(Error::Link { .. })));
    let wrong = Error::WrongName { wanted: "renamed".into(), found: "a".into() };
    assert_eq!(bench.kernel.load("renamed"), Err(wrong));
    // Files that are no modules do not keep others from being found.
    assert_eq!(bench.call("provided", &[1]), Ok(2));
}

#[test]
fn a_kernel_needs_modules_that_it_knows() {
    let empty = Bench::boot(Modules::new());
    assert_eq!(empty.err(), Some(Error::NoModules));
    let modules = Modules::new();
    modules.compile("old", "provider.c", &["VERMAGIC=\"5.10.0-8-amd64 SMP mod_unload \""]);
    assert!(matches!(Bench::boot(modules).err(), Some(Error::Release { vermagic }) if vermagic.starts_with("5.10")));
}

#[test]
fn policy_decides_who_may_come() {
    let modules = Modules::new();
    PAIR.iter().for_each(|(name, source, definitions)| modules.compile(name, source, definitions));
    let boot = Boot { policy: Box::new(AllowList(vec!["provider".into()])), ..Boot::new(Arc::new(GsBase::new())) };
    let kernel = Kernel::boot(boot, host(modules.path()).unwrap()).unwrap();
    let refused = kernel.autoload(Trigger::Symbol("used"));
    assert_eq!(refused, Err(Error::Policy { module: "user".into(), why: Refusal::Policy }));
    assert!(kernel.modules().is_empty());
    kernel.autoload(Trigger::Symbol("provided")).unwrap();
    // What the server itself asks for is another matter.
    kernel.load("user").unwrap();
    assert_eq!(kernel.modules().len(), 2);
}
