//! Programs that compute: every instruction on numbers with nothing, and generated loops of them.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

use crate::fuel::vectors;

/// Bytes that follow from a name: the same in every run of the tests, and on every machine.
pub(crate) struct Random {
    name: String,
    block: u64,
    rest: Vec<u8>,
}

impl Random {
    pub(crate) fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), block: 0, rest: Vec::new() }
    }

    pub(crate) fn bytes(&mut self, count: usize) -> Vec<u8> {
        while self.rest.len() < count {
            self.rest.extend(Sha256::digest(format!("{}/{}", self.name, self.block)));
            self.block += 1;
        }
        self.rest.drain(..count).collect()
    }

    fn below(&mut self, limit: usize) -> usize {
        let bytes = self.bytes(4);
        u32::from_le_bytes(bytes.try_into().unwrap()) as usize % limit
    }
}

/// An instruction that computes: text in which the operands are constants, and what they and the result are.
#[derive(Debug, Clone)]
pub(crate) struct Instruction {
    pub(crate) name: &'static str,
    text: &'static str,
    operands: Vec<&'static str>,
    result: &'static str,
}

const TYPES: [&str; 5] = ["i32", "i64", "f32", "f64", "v128"];

impl Instruction {
    /// The instruction with other operands.
    fn with(&self, operands: &[String]) -> String {
        let (mut text, mut rest) = (String::new(), self.text);
        for (ty, operand) in self.operands.iter().zip(operands) {
            let at = rest.find(&format!("({ty}.const")).unwrap();
            text.push_str(&rest[..at]);
            text.push_str(operand);
            rest = &rest[at + rest[at..].find(')').unwrap() + 1..];
        }
        text + rest
    }
}

/// Every instruction that computes and does not trap, out of the vectors of the fuel table.
pub(crate) fn instructions() -> Vec<Instruction> {
    let computing = ["Integers", "Floats", "Conversions", "Vectors"];
    let traps = |name: &str| {
        let (_, operation) = name.split_once('.').unwrap();
        operation.starts_with("div_") || operation.starts_with("rem_") || operation.starts_with("trunc_f")
    };
    let computing = vectors().into_iter().filter(|vector| computing.contains(&vector.section) && !traps(vector.name));
    computing
        .map(|vector| {
            let text = vector.body.strip_prefix("(drop ").unwrap().strip_suffix(')').unwrap();
            let constants = text.split('(').filter_map(|part| part.split_once(".const"));
            let operands = constants.map(|(ty, _)| TYPES.into_iter().find(|known| *known == ty).unwrap()).collect();
            Instruction { name: vector.name, text, operands, result: result(vector.name) }
        })
        .collect()
}

fn result(name: &str) -> &'static str {
    let (ty, operation) = name.split_once('.').unwrap();
    let lanes =
        [("i8x16", "i32"), ("i16x8", "i32"), ("i32x4", "i32"), ("i64x2", "i64"), ("f32x4", "f32"), ("f64x2", "f64")];
    let compares = ["eqz", "eq", "ne", "lt", "gt", "le", "ge"].contains(&operation.split('_').next().unwrap());
    match lanes.iter().find(|(shape, _)| *shape == ty) {
        Some((_, lane)) if operation.starts_with("extract_lane") => lane,
        _ if ["any_true", "all_true", "bitmask"].contains(&operation) => "i32",
        Some(_) => "v128",
        None if compares => "i32",
        None => TYPES.into_iter().find(|known| *known == ty).unwrap(),
    }
}

/// Sixteen bytes each, of which numbers are the first: signalling and quiet NaNs with payloads, infinities, zeros of both
/// signs, denormal numbers, the ends of the ranges.
pub(crate) fn hostile() -> Vec<[u8; 16]> {
    let f32s: [[u32; 4]; 9] = [
        [0x7fc0_0000, 0xffc0_0000, 0x7f80_0001, 0xff80_0001],
        [0x7fa5_a5a5, 0xffff_ffff, 0x7fff_ffff, 0x7fc0_1234],
        [0x7f80_0000, 0xff80_0000, 0x0000_0000, 0x8000_0000],
        [0x0000_0001, 0x8000_0001, 0x007f_ffff, 0x0080_0000],
        [0x7f7f_ffff, 0xff7f_ffff, 0x3f80_0000, 0xbf80_0000],
        [0x4f00_0000, 0xcf00_0000, 0x4f80_0000, 0x4eff_ffff],
        [0x3f00_0000, 0xbf00_0000, 0x3fc0_0000, 0x4020_0000],
        [0x3eaa_aaab, 0x4049_0fdb, 0x7e96_7699, 0x0d5a_2ecf],
        [0x4b00_0001, 0xcb7f_ffff, 0x3400_0000, 0x3380_0001],
    ];
    let f64s: [[u64; 2]; 8] = [
        [0x7ff8_0000_0000_0000, 0xfff8_0000_0000_0000],
        [0x7ff0_0000_0000_0001, 0xfff4_dead_beef_0001],
        [0x7ff0_0000_0000_0000, 0xfff0_0000_0000_0000],
        [0x8000_0000_0000_0000, 0x0000_0000_0000_0001],
        [0x000f_ffff_ffff_ffff, 0x7fef_ffff_ffff_ffff],
        [0x3ff0_0000_0000_0000, 0xbfe0_0000_0000_0000],
        [0x41df_ffff_ffc0_0000, 0xc3e0_0000_0000_0000],
        [0x3fd5_5555_5555_5555, 0x4340_0000_0000_0001],
    ];
    let bytes32 = f32s.map(|lanes| lanes.map(u32::to_le_bytes).concat().try_into().unwrap());
    let bytes64 = f64s.map(|lanes| lanes.map(u64::to_le_bytes).concat().try_into().unwrap());
    [bytes32.as_slice(), bytes64.as_slice(), &[[0x80; 16], [0x7f; 16], [0xff; 16], [0; 16]]].concat()
}

fn quoted(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "\\{byte:02x}");
        text
    })
}

/// A module with a function for each instruction, exported under its name, that applies it to all hostile numbers, or
/// pairs or triples of them, and leaves the results in memory.
pub(crate) fn on_hostile_numbers(instructions: &[Instruction]) -> Vec<u8> {
    let numbers = hostile();
    let end = numbers.len() * 16;
    let mut functions = String::new();
    for instruction in instructions {
        let operands: Vec<_> = (0..instruction.operands.len())
            .map(|n| format!("({}.load (local.get {n}))", instruction.operands[n]))
            .collect();
        // Three nested loops, of which one that has no operand turns once.
        let mut body = format!(
            "({}.store (local.get $to) {})
            (local.set $to (i32.add (local.get $to) (i32.const 16)))",
            instruction.result,
            instruction.with(&operands)
        );
        for n in (0..operands.len()).rev() {
            // The third of three in larger steps: it is one of the sums of a multiplication.
            let step = if n == 2 { 48 } else { 16 };
            body = format!(
                "(local.set {n} (i32.const 0)) (loop $l{n} {body}
                (br_if $l{n} (i32.lt_u (local.tee {n} (i32.add (local.get {n}) (i32.const {step}))) (i32.const {end}))))"
            );
        }
        let _ = writeln!(
            functions,
            "(func (export \"{}\") (local i32 i32 i32) (local $to i32) (local.set $to (i32.const {end})) {body})",
            instruction.name
        );
    }
    let data = quoted(&numbers.concat());
    wat::parse_str(format!("(module (memory (export \"memory\") 4) (data (i32.const 0) \"{data}\") {functions})"))
        .unwrap()
}

/// Variables of each type.
const VARIABLES: usize = 3;
/// Bytes of memory that a turn of the loop writes: all variables, in slots of a vector each.
const TURN: usize = TYPES.len() * VARIABLES * 16;

/// A generated program: a loop of some thirty instructions on fifteen variables, whose values it writes down in each turn.
pub(crate) fn kernel(seed: usize, instructions: &[Instruction]) -> Vec<u8> {
    let mut random = Random::new(format!("kernel {seed}"));
    let turns = 50 + random.below(200);
    let statements = 20 + random.below(20);
    let variable = |ty: &str, random: &mut Random| format!("${ty}{}", random.below(VARIABLES));
    let mut text = String::new();
    for _ in 0..statements {
        let instruction = &instructions[random.below(instructions.len())];
        let operands: Vec<_> = instruction
            .operands
            .iter()
            .map(|ty| match random.below(4) {
                // From memory, where earlier turns wrote, or hostile numbers are.
                0 => format!("({ty}.load (i32.and (local.get $i320) (i32.const 0xfff0)))"),
                _ => format!("(local.get {})", variable(ty, &mut random)),
            })
            .collect();
        let set = format!("(local.set {} {})", variable(instruction.result, &mut random), instruction.with(&operands));
        let condition = variable("i32", &mut random);
        let _ = match random.below(8) {
            0 => writeln!(text, "(if (i32.and (local.get {condition}) (i32.const 1)) (then {set}))"),
            1 => writeln!(text, "{set} (local.set $f640 (call $f (local.get $f641) (local.get $f322)))"),
            2 => writeln!(
                text,
                "{set} (memory.copy (i32.const 0x9000) (i32.and (local.get {condition}) (i32.const 0x7fff)) (i32.const 40))"
            ),
            _ => writeln!(text, "{set}"),
        };
    }
    let (mut locals, mut stores, mut loads) = (String::new(), String::new(), String::new());
    for (n, (ty, of)) in TYPES.iter().flat_map(|ty| (0..VARIABLES).map(move |of| (ty, of))).enumerate() {
        let _ = write!(locals, "(local ${ty}{of} {ty}) ");
        let _ = write!(loads, "(local.set ${ty}{of} ({ty}.load (i32.const {}))) ", random.below(0x1000));
        let _ = write!(stores, "({ty}.store offset={} (local.get $at) (local.get ${ty}{of})) ", n * 16);
    }
    let mut data = hostile().concat();
    data.extend(random.bytes(0x1100 - data.len()));
    let data = quoted(&data);
    wat::parse_str(format!(
        r#"(module (memory (export "memory") 4) (data (i32.const 0) "{data}") (global $g (mut f64) (f64.const 1))
            (func $f (param $a f64) (param $b f32) (result f64)
                (global.set $g (f64.add (f64.mul (global.get $g) (local.get $a)) (f64.promote_f32 (local.get $b))))
                (global.get $g))
            (func (export "main") (result i32) {locals} (local $turn i32) (local $at i32)
                {loads}
                (local.set $at (i32.const 0x10000))
                (loop $l
                    {text}
                    {stores}
                    (local.set $at (i32.add (local.get $at) (i32.const {TURN})))
                    (br_if $l (i32.lt_u (local.tee $turn (i32.add (local.get $turn) (i32.const 1))) (i32.const {turns}))))
                (i32.and (local.get $i320) (i32.const 0x7f))))"#
    ))
    .unwrap()
}
