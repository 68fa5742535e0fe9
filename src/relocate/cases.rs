//! Every relocation type that stock Linux modules use, through the whole linker: instruction, symbol, place, expected bytes; and
//! where the field is narrower than its number, the first symbol that does not fit.

use crate::address::RunAddr;
use crate::error::{Feature, LinkError, Problem};
use crate::flavour::Flavour;
use crate::image::Image;
use crate::load::{Linker, Options};
use crate::object::{CODE, GLOBAL, LOCAL, Object, READ, UNDEFINED, WEAK, WRITE};
use crate::rename::{Name, Namespace};
use crate::resolve::{Resolved, Scope, SymbolKind};
use crate::resource::{Detached, Memory, Placement};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// Where every module of these tests runs.
const RUN: u64 = 0x1000_0000;
const ABSOLUTE: u16 = 0xfff1;

/// Machine number, wide, big-endian, addends in records.
type Form = (u16, bool, bool, bool);

const AMD64: Form = (62, true, false, true);
const I386: Form = (3, false, false, false);
const ARM64: Form = (183, true, false, true);
const ARM: Form = (40, false, false, false);
const PPC64: Form = (21, true, false, true);
const S390: Form = (22, true, true, true);
const RISCV: Form = (243, true, false, true);

/// All functions of one name.
struct One(&'static str, u64);

impl Scope for One {
    fn lookup(&self, name: Name<'_>) -> Option<Resolved> {
        (name.base == self.0).then_some(Resolved { value: RunAddr::new(self.1), kind: SymbolKind::Function })
    }
}

fn object(form: Form) -> Object {
    Object::new(form.0, form.1, form.2, form.3)
}

/// The bytes of the region of a linked object.
fn link(object: Object, scope: &dyn Scope) -> Result<Vec<u8>, LinkError> {
    placed(object, scope).map(|(_, bytes)| bytes)
}

/// The same, and where it runs.
fn placed(object: Object, scope: &dyn Scope) -> Result<(u64, Vec<u8>), LinkError> {
    let bytes = object.finish();
    let image = Image::parse(&bytes)?;
    let detached = Arc::new(Detached::new(RunAddr::new(RUN), 4096));
    let memory: Arc<dyn Memory> = detached.clone();
    let none = Namespace::none();
    let options = Options { flavour: Flavour::Linux, namespace: &none, placement: Placement::Anywhere, per_cpu: 0 };
    let linked = Linker::new().link_as(&image, options, scope, &memory)?;
    let run = linked.reservation.run();
    Ok((run.get(), detached.bytes(run).unwrap()))
}

/// Links one relocation at `RUN` of `code` against `symbol`; gives the code.
fn one(form: Form, kind: u32, code: &[u8], symbol: u64, addend: i64) -> Result<Vec<u8>, LinkError> {
    let mut made = object(form);
    let text = made.section(".text", CODE, code);
    let symbol = made.symbol("target", LOCAL, ABSOLUTE, symbol);
    made.relocation(text, 0, symbol, kind, addend);
    link(made, &()).map(|mut bytes| {
        bytes.truncate(code.len());
        bytes
    })
}

/// Code as hexadecimal digits.
fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> =
        text.bytes().filter(|byte| *byte != b' ').map(|byte| (byte as char).to_digit(16).unwrap() as u8).collect();
    digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

fn shown(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| alloc::format!("{byte:02x}")).collect()
}

/// One case: type, code, symbol, addend, expected.
type Case = (u32, &'static str, u64, i64, &'static str);

fn all(form: Form, cases: &[Case]) {
    for &(kind, code, symbol, addend, expected) in cases {
        let found = one(form, kind, &hex(code), symbol, addend).map(|bytes| shown(&bytes));
        assert_eq!(found, Ok(shown(&hex(expected))), "type {kind}, {code}");
    }
}

/// Symbols of which the first fits and the second does not.
fn edges(form: Form, cases: &[(u32, &'static str, u64, u64)]) {
    for &(kind, code, fits, not) in cases {
        assert!(one(form, kind, &hex(code), fits, 0).is_ok(), "type {kind}: {fits:#x}");
        let error = one(form, kind, &hex(code), not, 0).unwrap_err();
        assert!(matches!(&error, LinkError::OutOfRange(what) if what.relocation == kind), "type {kind}: {not:#x}: {error}");
    }
}

#[test]
fn amd64() {
    all(
        AMD64,
        &[
            (1, "0000000000000000", 0x1122_3344_5566_7788, 1, "8977665544332211"),
            (2, "00000000", RUN + 0x100, -4, "fc000000"),
            (4, "00000000", RUN - 0x100, -4, "fcfeffff"),
            (10, "00000000", 0xffff_fff0, 0, "f0ffffff"),
            (11, "00000000", 0xffff_ffff_8000_0000, 0, "00000080"),
            (24, "0000000000000000", 0, 0, "000000f0ffffffff"),
            (0, "90909090", 7, 0, "90909090"),
        ],
    );
    edges(
        AMD64,
        &[
            (2, "00000000", RUN + 0x7fff_ffff, RUN + 0x8000_0000),
            (4, "00000000", RUN - 0x1000_0000, RUN + 0x8000_0000),
            (10, "00000000", 0xffff_ffff, 0x1_0000_0000),
            (11, "00000000", 0x7fff_ffff, 0x8000_0000),
        ],
    );
}

#[test]
fn amd64_global_offset_table() {
    let mut made = object(AMD64);
    // mov target(%rip), %rax
    let text = made.section(".text", CODE, &hex("488b0500000000"));
    let symbol = made.symbol("target", LOCAL, ABSOLUTE, 0x1122_3344);
    made.relocation(text, 3, symbol, 9, -4);
    let bytes = link(made, &()).unwrap();
    let distance = i32::from_le_bytes(bytes[3..7].try_into().unwrap());
    let slot = (7 + distance) as usize;
    assert_eq!(bytes[slot..slot + 8], 0x1122_3344_u64.to_le_bytes());
}

#[test]
fn i386() {
    all(
        I386,
        &[
            (1, "04000000", 0x1234_5678, 0, "7c563412"),
            // call -4 + target
            (2, "fcffffff", RUN + 0x100, 0, "fc000000"),
            (4, "fcffffff", RUN - 0x100, 0, "fcfeffff"),
        ],
    );
}

#[test]
fn arm64() {
    all(
        ARM64,
        &[
            (257, "0000000000000000", 0x1122_3344_5566_7788, 0, "8877665544332211"),
            (260, "0000000000000000", RUN - 8, 0, "f8ffffffffffffff"),
            (261, "00000000", RUN + 0x100, 4, "04010000"),
            // adrp x0, target; add x0, x0, #lo; ldr x0, [x0, #lo]
            (275, "00000090", RUN + 0x5678, 0, "200000b0"),
            (277, "00000091", RUN + 0x5678, 0, "00e01991"),
            (278, "00004039", RUN + 0x5679, 0, "00e45939"),
            (284, "00004079", RUN + 0x567a, 0, "00f44c79"),
            (285, "000040b9", RUN + 0x5678, 0, "007846b9"),
            (286, "000040f9", RUN + 0x5678, 0, "003c43f9"),
            (299, "0000c03d", RUN + 0x5670, 0, "009cc13d"),
            // bl, b
            (283, "00000094", RUN + 0x100, 0, "40000094"),
            (282, "00000014", RUN - 4, 0, "ffffff17"),
        ],
    );
    edges(
        ARM64,
        &[
            (261, "00000000", RUN + 0x7fff_ffff, RUN + 0x8000_0000),
            (275, "00000090", RUN + 0xffff_f000, RUN + 0x1_0000_0000),
            (283, "00000094", RUN + 0x7ff_fffc, RUN + 0x800_0000),
            (285, "000040b9", 4, 6),
            (286, "000040f9", 8, 12),
        ],
    );
}

#[test]
fn arm64_calls_out_of_reach_go_through_a_veneer() {
    let mut made = object(ARM64);
    let text = made.section(".text", CODE, &hex("00000094"));
    let symbol = made.symbol("far", GLOBAL, UNDEFINED, 0);
    made.relocation(text, 0, symbol, 283, 0);
    let far = 0x1122_3344_5566_7788;
    let bytes = link(made, &One("far", far)).unwrap();
    // ldr x16, .+8; br x16
    assert_eq!(bytes[16..24], hex("50000058 00021fd6"));
    assert_eq!(bytes[24..32], far.to_le_bytes());
    assert_eq!(bytes[..4], hex("04000094"));
}

#[test]
fn arm() {
    all(
        ARM,
        &[
            (2, "04000000", 0x1234_5678, 0, "7c563412"),
            (3, "00000000", RUN + 0x10, 0, "10000000"),
            // bl with the pipeline's -8; b
            (28, "feffffeb", RUN + 0x100, 0, "3e0000eb"),
            (29, "feffffea", RUN + 8, 0, "000000ea"),
            (42, "00000080", RUN + 0x10, 0, "10000080"),
            // movw r0, #:lower16:; movt r0, #:upper16:
            (43, "000000e3", 0x1234_5678, 0, "780605e3"),
            (44, "000040e3", 0x1234_5678, 0, "340241e3"),
        ],
    );
    edges(ARM, &[(28, "feffffeb", RUN + 0x200_0000, RUN + 0x200_0008), (42, "00000000", RUN + 0x3fff_ffff, RUN + 0x4000_0000)]);
    let error = one(ARM, 43, &hex("0000a0e1"), 0, 0).unwrap_err();
    assert!(matches!(error, LinkError::Malformed { problem: Problem::Instruction(0xe1a0_0000), .. }));
}

#[test]
fn arm_calls_out_of_reach_go_through_a_veneer() {
    let mut made = object(ARM);
    let text = made.section(".text", CODE, &hex("feffffeb"));
    let symbol = made.symbol("far", GLOBAL, UNDEFINED, 0);
    made.relocation(text, 0, symbol, 28, 0);
    let bytes = link(made, &One("far", 0xc123_4568)).unwrap();
    // ldr pc, [pc, #-4]
    assert_eq!(bytes[16..24], hex("04f01fe5 684523c1"));
    assert_eq!(bytes[..4], hex("020000eb"));
}

#[test]
fn powerpc64() {
    all(
        PPC64,
        &[
            (38, "0000000000000000", 0x1122_3344_5566_7788, 0, "8877665544332211"),
            (44, "0000000000000000", RUN - 8, 0, "f8ffffffffffffff"),
            (26, "00000000", RUN + 0x10, 0, "10000000"),
            (118, "e8ff4ce8", 0, 0, "e8ff4ce8"),
            // b target
            (10, "00000048", RUN + 0x100, 0, "00010048"),
        ],
    );
    edges(PPC64, &[(10, "00000048", RUN + 0x1ff_fffc, RUN + 0x200_0000), (26, "00000000", RUN, RUN + 0x8000_0000)]);
}

#[test]
fn powerpc64_table_of_contents() {
    let mut made = object(PPC64);
    // addis r9, r2, x@toc@ha; ld r9, x@toc@l(r9); .quad .TOC. - .
    let text = made.section(".text", CODE, &hex("0000223d 000029e9 0000000000000000"));
    let toc = made.section(".toc", WRITE, &[0; 16]);
    let symbol = made.symbol("", LOCAL, toc, 8);
    let base = made.symbol(".TOC.", GLOBAL, UNDEFINED, 0);
    made.relocation(text, 0, symbol, 50, 0);
    made.relocation(text, 4, symbol, 64, 0);
    made.relocation(text, 8, base, 44, 0);
    let bytes = link(made, &()).unwrap();
    // .toc is at RUN + 0x1000, its base 0x8000 further: the entry is at -0x7ff8 of it.
    assert_eq!(bytes[..8], hex("0000223d 088029e9"));
    assert_eq!(bytes[8..16], (0x9000_u64 - 8).to_le_bytes());
}

#[test]
fn powerpc64_calls_out_save_and_restore_the_table_of_contents() {
    let call = |code: &str| {
        let mut made = object(PPC64);
        let text = made.section(".text", CODE, &hex(code));
        let symbol = made.symbol("near", GLOBAL, UNDEFINED, 0);
        made.relocation(text, 0, symbol, 10, 0);
        link(made, &One("near", RUN + 0x10_0000))
    };
    // bl near; nop
    let bytes = call("01000048 00000060").unwrap();
    assert_eq!(bytes[..8], hex("21000048 180041e8"));
    assert_eq!(bytes[32..64], hex("180041f8 0000803d 00008c61 c6078c79 10108c65 00008c61 a603897d 2004804e"));
    // A jump at the end restores nothing.
    assert_eq!(call("00000048 78563412").unwrap()[..8], hex("20000048 78563412"));
    // A call without room for the restore cannot be made.
    assert!(matches!(call("01000048 78563412"), Err(LinkError::Malformed { problem: Problem::Instruction(0x1234_5678), .. })));
}

#[test]
fn powerpc64_calls_inside_use_the_local_entry() {
    let mut made = object(PPC64);
    let text = made.section(".text", CODE, &hex("01000048 00000060 00000060 00000060 00000060"));
    let symbol = made.symbol("inner", GLOBAL | 2, text, 8);
    made.other(3 << 5);
    made.relocation(text, 0, symbol, 10, 0);
    assert_eq!(link(made, &()).unwrap()[..8], hex("11000048 00000060"));
}

#[test]
fn s390x() {
    all(
        S390,
        &[
            (22, "0000000000000000", 0x1122_3344_5566_7788, 0, "1122334455667788"),
            (23, "0000000000000000", RUN - 8, 0, "fffffffffffffff8"),
            (5, "00000000", RUN + 0x100, 2, "00000102"),
            // The field of larl and brasl, two bytes into them.
            (19, "00000000", RUN + 0x100, 2, "00000081"),
            (20, "00000000", RUN - 0x100, 2, "ffffff81"),
        ],
    );
    edges(
        S390,
        &[(5, "00000000", RUN + 0x7fff_ffff, RUN + 0x8000_0000), (19, "00000000", RUN + 0xffff_fffe, RUN + 0x1_0000_0000)],
    );
    edges(S390, &[(20, "00000000", RUN + 2, RUN + 3)]);
}

#[test]
fn s390x_global_offset_table() {
    let mut made = object(S390);
    // lgrl %r1, target@GOTENT
    let text = made.section(".text", CODE, &hex("c41800000000 0707"));
    let symbol = made.symbol("target", LOCAL, ABSOLUTE, 0x1122_3344);
    made.relocation(text, 2, symbol, 26, 2);
    let bytes = link(made, &()).unwrap();
    let distance = i32::from_be_bytes(bytes[2..6].try_into().unwrap());
    let slot = 2 * distance as usize;
    assert_eq!(bytes[slot..slot + 8], 0x1122_3344_u64.to_be_bytes());
}

#[test]
fn riscv64() {
    all(
        RISCV,
        &[
            (2, "0000000000000000", 0x1122_3344_5566_7788, 0, "8877665544332211"),
            (57, "00000000", RUN + 0x10, 0, "10000000"),
            // auipc ra, 0; jalr ra
            (19, "97000000 e7800000", RUN + 0x1800, 0, "97200000 e7800080"),
            (23, "17050000", RUN + 0x1800, 0, "17250000"),
            // c.j, c.beqz a0
            (45, "01a0", RUN + 4, 0, "11a0"),
            (44, "01c1", RUN + 4, 0, "11c1"),
            // A ULEB128 of two bytes.
            (60, "8001", 5, 0, "8500"),
        ],
    );
    edges(
        RISCV,
        &[
            (23, "17050000", RUN + 0x7fff_f7ff, RUN + 0x7fff_f800),
            (45, "01a0", RUN + 0x7fe, RUN + 0x800),
            (44, "01c1", RUN + 0xfe, RUN + 0x100),
            (60, "8001", 0x3fff, 0x4000),
        ],
    );
}

#[test]
fn riscv64_padding_is_right_only_where_it_need_not_shrink() {
    let build = |at: u64| {
        let mut made = object(RISCV);
        let text = made.section(".text", CODE, &hex("13000000 13000000"));
        made.relocation(text, at, 0, 43, 4);
        link(made, &())
    };
    assert_eq!(build(4).unwrap()[..8], hex("13000000 13000000"));
    assert!(matches!(build(0), Err(LinkError::OutOfRange(_))));
}

#[test]
fn riscv64_low_halves_find_their_upper_half() {
    let build = |label_at: u64| {
        let mut made = object(RISCV);
        // auipc a0, %pcrel_hi(target); addi a0, a0, %pcrel_lo(label); sd a1, %pcrel_lo(label)(a0)
        let text = made.section(".text", CODE, &hex("17050000 13050500 2330b500"));
        let target = made.symbol("target", LOCAL, ABSOLUTE, RUN + 0x1ffc);
        let label = made.symbol("label", LOCAL, text, label_at);
        made.relocation(text, 0, target, 23, 0);
        made.relocation(text, 4, label, 24, 0);
        made.relocation(text, 8, label, 25, 0);
        link(made, &())
    };
    assert_eq!(build(0).unwrap()[..12], hex("17250000 1305c5ff 233eb5fe"));
    assert!(matches!(build(4), Err(LinkError::Malformed { problem: Problem::Pair, .. })));
}

#[test]
fn types_of_no_module_are_refused() {
    for (form, kind) in [(AMD64, 23), (I386, 9), (ARM64, 549), (ARM, 20), (PPC64, 67), (S390, 37), (RISCV, 21)] {
        let error = one(form, kind, &[0; 8], 0, 0).unwrap_err();
        assert!(matches!(error, LinkError::Unsupported { feature: Feature::Relocation(found), .. } if found == kind), "{form:?}");
    }
}

#[test]
fn an_undefined_weak_symbol_is_zero() {
    let build = |info| {
        let mut made = object(AMD64);
        made.section(".text", CODE, &[0xc3]);
        let data = made.section(".data", WRITE, &[0xff; 8]);
        let symbol = made.symbol("maybe", info, UNDEFINED, 0);
        made.relocation(data, 0, symbol, 1, 0);
        link(made, &())
    };
    assert_eq!(build(WEAK).unwrap()[0x1000..0x1008], [0; 8]);
    assert_eq!(build(GLOBAL).unwrap_err().missing()[0].name, "maybe");
}

#[test]
fn sections_of_the_kernel_alone_are_loaded_only_if_something_refers_to_them() {
    let build = |refer: bool| {
        let mut made = object(AMD64);
        made.section(".text", CODE, &[0xc3]);
        let kernel = made.section("__ex_table", READ, &[0xaa; 8]);
        let data = made.section(".data", WRITE, &[0; 8]);
        let symbol = made.symbol("", LOCAL | 3, kernel, 0);
        if refer {
            made.relocation(data, 0, symbol, 1, 0);
        }
        placed(made, &()).unwrap()
    };
    assert!(!build(false).1.contains(&0xaa));
    let (run, bytes) = build(true);
    assert_eq!(bytes[0x1000..0x1008], [0xaa; 8]);
    assert_eq!(bytes[0x2000..0x2008], (run + 0x1000).to_le_bytes());
}
