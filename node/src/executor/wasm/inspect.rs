//! What a module holds, counted on its bytes and held against limits before anything is compiled.
//!
//! A few bytes of WebAssembly can cost a compiler a thousand times their size: an empty function takes four bytes of a
//! module and five thousand of the compiler's memory, a call of a function with a thousand results two bytes and a
//! thousand values. Everything that costs more than its bytes is counted here, in one pass that takes memory for types
//! and functions only.

use wasmtime::wasmparser::{BlockType, ElementItems, Error, FunctionBody, Operator, Parser, Payload, TypeRef};

use super::messages::printable;
use crate::executor::RunFault;

/// Functions of a module, imported ones included.
pub const FUNCTIONS: u64 = 100_000;
/// Bytes of one function's code.
pub const FUNCTION_BYTES: u64 = 2 << 20;
/// Bytes of the code of all functions.
pub const CODE_BYTES: u64 = 48 << 20;
/// Operations of one function: an instruction counts 1, and 1 more for each value that it passes to or from a function
/// or block, and for each target of a branch table.
pub const FUNCTION_OPERATIONS: u64 = 4 << 20;
/// Operations of all functions.
pub const OPERATIONS: u64 = 128 << 20;
/// Local variables of all functions. (The engine takes 50,000 in one function.)
pub const LOCALS: u64 = 8 << 20;
/// Blocks inside each other.
pub const NESTING: u64 = 10_000;
/// Types of functions.
pub const TYPES: u64 = 20_000;
/// Imports.
pub const IMPORTS: u64 = 1_000;
/// Exports.
pub const EXPORTS: u64 = 20_000;
/// Global variables.
pub const GLOBALS: u64 = 20_000;
/// Tables.
pub const TABLES: u64 = 16;
/// Element segments.
pub const ELEMENT_SEGMENTS: u64 = 20_000;
/// Elements of all element segments.
pub const ELEMENTS: u64 = 1 << 20;
/// Data segments.
pub const DATA_SEGMENTS: u64 = 100_000;

/// What a module holds, as far as it is needed later.
#[derive(Debug, Default)]
pub(crate) struct Anatomy<'a> {
    /// Module and name of every import, in order.
    pub(crate) imports: Vec<(&'a str, &'a str)>,
}

/// Parameters and results of a function or block.
#[derive(Debug, Clone, Copy, Default)]
struct Arity {
    params: u32,
    results: u32,
}

impl Arity {
    fn values(self) -> u64 {
        u64::from(self.params) + u64::from(self.results)
    }
}

#[derive(Default)]
struct Inspector<'a> {
    found: Anatomy<'a>,
    types: Vec<Arity>,
    /// The arity of every function, imported ones first.
    functions: Vec<Arity>,
    /// Functions whose bodies have been seen.
    bodies: usize,
    imported: usize,
    globals: u64,
    tables: u64,
    elements: u64,
    locals: u64,
    operations: u64,
    /// What a branch to each open block passes, of the function at hand.
    labels: Vec<u32>,
}

/// Counts what a module holds.
///
/// # Errors
/// [`RunFault::NotWasm`], [`RunFault::Component`], [`RunFault::ModuleOverLimit`] for the first limit that is exceeded, and
/// [`RunFault::Invalid`] for bytes that cannot be taken apart. That the module is valid is not said.
pub(crate) fn inspect(bytes: &[u8]) -> Result<Anatomy<'_>, RunFault> {
    recognise(bytes)?;
    let mut inspector = Inspector::default();
    for payload in Parser::new(0).parse_all(bytes) {
        inspector.take(payload.map_err(damaged)?)?;
    }
    Ok(inspector.found)
}

/// Tells what is plainly not a module from its first bytes.
fn recognise(bytes: &[u8]) -> Result<(), RunFault> {
    match bytes {
        [0, b'a', b's', b'm', 1, 0, 0, 0, ..] => Ok(()),
        [0, b'a', b's', b'm', _, _, 1, 0, ..] => Err(RunFault::Component),
        _ => Err(RunFault::NotWasm { start: format!("0x{}", hex::encode(&bytes[..bytes.len().min(8)])) }),
    }
}

fn damaged(error: Error) -> RunFault {
    RunFault::Invalid { message: printable(&format!("{} (at byte {})", error.message(), error.offset())) }
}

/// Refuses a number above its limit.
fn check(what: impl Into<String>, found: u64, limit: u64) -> Result<(), RunFault> {
    if found > limit { Err(RunFault::ModuleOverLimit { what: what.into(), found, limit }) } else { Ok(()) }
}

impl<'a> Inspector<'a> {
    fn take(&mut self, payload: Payload<'a>) -> Result<(), RunFault> {
        match payload {
            Payload::TypeSection(section) => {
                check("types", self.types.len() as u64 + u64::from(section.count()), TYPES)?;
                for ty in section.into_iter_err_on_gc_types() {
                    let ty = ty.map_err(damaged)?;
                    self.types.push(Arity { params: ty.params().len() as u32, results: ty.results().len() as u32 });
                }
            }
            Payload::ImportSection(section) => {
                check("imports", u64::from(section.count()), IMPORTS)?;
                for import in section.into_imports() {
                    let import = import.map_err(damaged)?;
                    self.found.imports.push((import.module, import.name));
                    check("imports", self.found.imports.len() as u64, IMPORTS)?;
                    match import.ty {
                        TypeRef::Func(index) | TypeRef::FuncExact(index) => {
                            self.functions.push(self.arity_of(index));
                            self.imported += 1;
                        }
                        TypeRef::Global(_) => self.globals += 1,
                        TypeRef::Table(_) => self.tables += 1,
                        TypeRef::Memory(_) | TypeRef::Tag(_) => {}
                    }
                }
            }
            Payload::FunctionSection(section) => {
                check("functions", self.functions.len() as u64 + u64::from(section.count()), FUNCTIONS)?;
                for index in section {
                    let arity = self.arity_of(index.map_err(damaged)?);
                    self.functions.push(arity);
                }
            }
            Payload::TableSection(section) => {
                self.tables += u64::from(section.count());
                check("tables", self.tables, TABLES)?;
            }
            Payload::GlobalSection(section) => {
                self.globals += u64::from(section.count());
                check("globals", self.globals, GLOBALS)?;
            }
            Payload::ExportSection(section) => check("exports", section.count().into(), EXPORTS)?,
            Payload::ElementSection(section) => {
                check("element segments", section.count().into(), ELEMENT_SEGMENTS)?;
                for segment in section {
                    self.elements += match segment.map_err(damaged)?.items {
                        ElementItems::Functions(items) => u64::from(items.count()),
                        ElementItems::Expressions(_, items) => u64::from(items.count()),
                    };
                    check("elements", self.elements, ELEMENTS)?;
                }
            }
            Payload::DataSection(section) => check("data segments", section.count().into(), DATA_SEGMENTS)?,
            Payload::DataCountSection { count, .. } => check("data segments", count.into(), DATA_SEGMENTS)?,
            Payload::CodeSectionStart { count, size, .. } => {
                check("functions", u64::from(count) + self.imported as u64, FUNCTIONS)?;
                check("bytes of code", size.into(), CODE_BYTES)?;
            }
            Payload::CodeSectionEntry(body) => self.function(&body)?,
            _ => {}
        }
        Ok(())
    }

    /// The arity of a type; of one that is not there none, since whoever compiles the module will refuse it.
    fn arity_of(&self, index: u32) -> Arity {
        self.types.get(index as usize).copied().unwrap_or_default()
    }

    fn block(&self, block: BlockType) -> Arity {
        match block {
            BlockType::Empty => Arity::default(),
            BlockType::Type(_) => Arity { params: 0, results: 1 },
            BlockType::FuncType(index) => self.arity_of(index),
        }
    }

    fn function(&mut self, body: &FunctionBody<'_>) -> Result<(), RunFault> {
        let index = self.imported + self.bodies;
        self.bodies += 1;
        check(format!("bytes of code in function {index}"), body.range().len() as u64, FUNCTION_BYTES)?;
        for locals in body.get_locals_reader().map_err(damaged)? {
            let (count, _) = locals.map_err(damaged)?;
            self.locals += u64::from(count);
            check("local variables", self.locals, LOCALS)?;
        }
        let own = self.functions.get(index).copied().unwrap_or_default();
        let mut operations = own.values();
        self.labels.clear();
        self.labels.push(own.results);
        let mut reader = body.get_operators_reader().map_err(damaged)?;
        while !reader.eof() {
            operations += self.operation(&reader.read().map_err(damaged)?, own)?;
            if operations > FUNCTION_OPERATIONS {
                break;
            }
        }
        check(format!("operations in function {index}"), operations, FUNCTION_OPERATIONS)?;
        self.operations += operations;
        check("operations", self.operations, OPERATIONS)
    }

    /// What an instruction counts.
    fn operation(&mut self, operator: &Operator<'_>, own: Arity) -> Result<u64, RunFault> {
        let passed = match operator {
            Operator::Call { function_index } | Operator::ReturnCall { function_index } => {
                self.functions.get(*function_index as usize).copied().unwrap_or_default().values()
            }
            Operator::CallIndirect { type_index, .. } | Operator::ReturnCallIndirect { type_index, .. } => {
                self.arity_of(*type_index).values()
            }
            Operator::Block { blockty } | Operator::If { blockty } => {
                let arity = self.block(*blockty);
                self.open(arity.results)?;
                arity.values()
            }
            Operator::Loop { blockty } => {
                let arity = self.block(*blockty);
                self.open(arity.params)?;
                arity.values()
            }
            Operator::End => {
                self.labels.pop();
                0
            }
            Operator::Br { relative_depth } | Operator::BrIf { relative_depth } => self.label(*relative_depth),
            Operator::BrTable { targets } => {
                let mut passed = self.label(targets.default());
                for target in targets.targets() {
                    passed += 1 + self.label(target.map_err(damaged)?);
                }
                passed
            }
            Operator::Return => own.results.into(),
            _ => 0,
        };
        Ok(1 + passed)
    }

    fn open(&mut self, passes: u32) -> Result<(), RunFault> {
        self.labels.push(passes);
        check("blocks inside each other", self.labels.len() as u64 - 1, NESTING)
    }

    /// Values that a branch passes to the block `depth` levels out.
    fn label(&self, depth: u32) -> u64 {
        let at = self.labels.len().checked_sub(1 + depth as usize);
        at.and_then(|at| self.labels.get(at)).copied().unwrap_or_default().into()
    }
}
