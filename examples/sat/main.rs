//! Decides whether a formula can be satisfied: a small SAT solver (conflict-driven clause learning).
//!
//! Build: `rustc --target wasm32-wasip1 -O main.rs -o sat.wasm`
//!
//! Reads formulas in DIMACS format, or makes one of a problem of combinatorics that is named on its command line, and writes
//! answers in the format of the SAT competitions to `/outputs`.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

const INPUTS: &str = "/inputs";
const OUTPUTS: &str = "/outputs";
const USAGE: &str = "usage: sat                              every file under /inputs, in DIMACS format
       sat --van-der-waerden A B N     can 1..N be coloured red and blue, without A red or B blue numbers in equal steps?
       sat --pigeons P H               can P pigeons sit in H holes, one in each?";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let result = match problem(&args) {
        Ok(Some((name, formula))) => answer(&name, &formula).map_err(|error| format!("{OUTPUTS}: {error}")),
        Ok(None) => files(),
        Err(message) => {
            eprintln!("sat: {message}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("sat: {message}");
            ExitCode::FAILURE
        }
    }
}

/// The problem that the command line names, with a name for its answer.
fn problem(args: &[String]) -> Result<Option<(String, Formula)>, String> {
    let number = |text: &String| match text.parse::<usize>() {
        Ok(number @ 1..=10_000) => Ok(number),
        _ => Err(format!("{text:?} is no number from 1 to 10000")),
    };
    match args {
        [] => Ok(None),
        [name, a, b, n] if name == "--van-der-waerden" => {
            let (a, b, n) = (number(a)?, number(b)?, number(n)?);
            Ok(Some((format!("van-der-waerden-{a}-{b}-{n}"), van_der_waerden(a, b, n))))
        }
        [name, p, h] if name == "--pigeons" => {
            let (p, h) = (number(p)?, number(h)?);
            Ok(Some((format!("pigeons-{p}-{h}"), pigeons(p, h))))
        }
        _ => Err(format!("what is {:?}?", args.join(" "))),
    }
}

fn files() -> Result<(), String> {
    let mut found = Vec::new();
    let mut todo = vec![PathBuf::from(INPUTS)];
    while let Some(path) = todo.pop() {
        let failed = |error: io::Error| format!("{}: {error}", path.display());
        if fs::metadata(&path).map_err(failed)?.is_dir() {
            for entry in fs::read_dir(&path).map_err(failed)? {
                todo.push(entry.map_err(failed)?.path());
            }
        } else {
            found.push(path);
        }
    }
    found.sort();
    for path in found {
        let failed = |message: String| format!("{}: {message}", path.display());
        let text = fs::read_to_string(&path).map_err(|error| failed(error.to_string()))?;
        let formula = Formula::parse(&text).map_err(failed)?;
        let name = path.strip_prefix(INPUTS).unwrap_or(&path).to_string_lossy().replace('/', "-");
        answer(name.trim_start_matches('-'), &formula).map_err(|error| failed(error.to_string()))?;
    }
    Ok(())
}

/// Solves a formula and writes down what came out.
fn answer(name: &str, formula: &Formula) -> io::Result<()> {
    let mut solver = Solver::new(formula);
    let model = solver.solve();
    let mut text = format!("c {} variables, {} clauses\n", formula.variables, formula.clauses.len());
    match &model {
        None => text.push_str("s UNSATISFIABLE\n"),
        Some(model) => {
            text.push_str("s SATISFIABLE\n");
            let literals = model.iter().enumerate().map(|(n, value)| (n as i64 + 1) * if *value { 1 } else { -1 });
            let words: Vec<String> = literals.chain([0]).map(|literal| literal.to_string()).collect();
            for line in words.chunks(16) {
                let _ = writeln!(text, "v {}", line.join(" "));
            }
        }
    }
    fs::write(Path::new(OUTPUTS).join(format!("{name}.answer")), text)?;
    let verdict = if model.is_some() { "SATISFIABLE" } else { "UNSATISFIABLE" };
    println!("{name}\t{verdict}\t{} conflicts", solver.conflicts);
    Ok(())
}

/// A formula in conjunctive normal form: literals are numbers of variables from 1, negative where they are negated.
#[derive(Debug, Default)]
pub struct Formula {
    pub variables: usize,
    pub clauses: Vec<Vec<i32>>,
}

/// Most variables of a formula.
const VARIABLES: usize = 1_000_000;

impl Formula {
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut formula = Self::default();
        let mut clause = Vec::new();
        let mut header = false;
        for (n, line) in text.lines().enumerate() {
            let wrong = |what: &str| format!("line {}: {what}", n + 1);
            let mut words = line.split_ascii_whitespace().peekable();
            match words.peek().copied() {
                // What follows `%` in the files of SATLIB is no formula.
                Some("%") => break,
                Some("c") | None => continue,
                Some("p") => {
                    let words: Vec<_> = words.collect();
                    let ["p", "cnf", variables, _] = words[..] else {
                        return Err(wrong("expected `p cnf VARIABLES CLAUSES`"));
                    };
                    formula.variables = match variables.parse() {
                        Ok(variables @ 0..=VARIABLES) => variables,
                        _ => return Err(wrong("too many variables, or no number of them")),
                    };
                    header = true;
                }
                _ if !header => return Err(wrong("a clause before the line `p cnf VARIABLES CLAUSES`")),
                _ => {
                    for word in words {
                        match word.parse::<i32>() {
                            Ok(0) => formula.clauses.push(std::mem::take(&mut clause)),
                            Ok(literal) if literal.unsigned_abs() as usize <= formula.variables => clause.push(literal),
                            _ => return Err(wrong(&format!("{word:?} is no literal of this formula"))),
                        }
                    }
                }
            }
        }
        if !clause.is_empty() {
            formula.clauses.push(clause);
        }
        if header { Ok(formula) } else { Err("no line `p cnf VARIABLES CLAUSES`".to_owned()) }
    }
}

/// True numbers are red. Some `a` numbers in equal steps are not all red, some `b` not all blue.
pub fn van_der_waerden(a: usize, b: usize, n: usize) -> Formula {
    let mut formula = Formula { variables: n, clauses: Vec::new() };
    for (length, sign) in [(a, -1), (b, 1)] {
        for first in 1..=n {
            for step in 1..=n {
                let last = first + step * (length - 1);
                if last > n {
                    break;
                }
                formula.clauses.push((first..=last).step_by(step).map(|number| number as i32 * sign).collect());
                if length == 1 {
                    break;
                }
            }
        }
    }
    formula
}

/// Every pigeon has a hole, and no two share one.
pub fn pigeons(pigeons: usize, holes: usize) -> Formula {
    let sits = |pigeon: usize, hole: usize| (pigeon * holes + hole + 1) as i32;
    let mut formula = Formula { variables: pigeons * holes, clauses: Vec::new() };
    for pigeon in 0..pigeons {
        formula.clauses.push((0..holes).map(|hole| sits(pigeon, hole)).collect());
        for other in 0..pigeon {
            formula.clauses.extend((0..holes).map(|hole| vec![-sits(pigeon, hole), -sits(other, hole)]));
        }
    }
    formula
}

/// A literal: twice its variable, which counts from 0, and 1 more where it is negated.
type Literal = usize;

const UNKNOWN: i8 = 0;
/// A clause that is not there.
const NONE: usize = usize::MAX;
/// Conflicts until the first restart.
const RESTART: u64 = 64;

/// Conflict-driven clause learning, with two watched literals, the first unique implication point, activities, saved phases
/// and Luby's restarts.
pub struct Solver {
    clauses: Vec<Vec<Literal>>,
    /// For each literal the clauses that wait for it to become false.
    watches: Vec<Vec<usize>>,
    /// For each literal 1 if it is true, -1 if it is false.
    values: Vec<i8>,
    phases: Vec<bool>,
    levels: Vec<usize>,
    /// The clause that made a variable what it is.
    reasons: Vec<usize>,
    trail: Vec<Literal>,
    /// Where each level begins in the trail.
    marks: Vec<usize>,
    head: usize,
    activities: Vec<f64>,
    step: f64,
    /// A heap of variables, the most active first, and where each is in it.
    heap: Vec<usize>,
    places: Vec<usize>,
    seen: Vec<bool>,
    contradiction: bool,
    pub conflicts: u64,
}

impl Solver {
    pub fn new(formula: &Formula) -> Self {
        let n = formula.variables;
        let mut solver = Self {
            clauses: Vec::new(),
            watches: vec![Vec::new(); 2 * n],
            values: vec![UNKNOWN; 2 * n],
            phases: vec![false; n],
            levels: vec![0; n],
            reasons: vec![NONE; n],
            trail: Vec::new(),
            marks: Vec::new(),
            head: 0,
            activities: vec![0.0; n],
            step: 1.0,
            heap: (0..n).collect(),
            places: (0..n).collect(),
            seen: vec![false; n],
            contradiction: false,
            conflicts: 0,
        };
        for clause in &formula.clauses {
            let literal = |literal: &i32| 2 * (literal.unsigned_abs() as usize - 1) + usize::from(*literal < 0);
            let mut clause: Vec<Literal> = clause.iter().map(literal).collect();
            clause.sort_unstable();
            clause.dedup();
            if !clause.windows(2).any(|pair| pair[0] ^ 1 == pair[1]) {
                solver.add(clause);
            }
        }
        solver
    }

    fn add(&mut self, clause: Vec<Literal>) {
        match clause[..] {
            [] => self.contradiction = true,
            [only] if self.values[only] < 0 => self.contradiction = true,
            [only] if self.values[only] == UNKNOWN => self.assign(only, NONE),
            [_] => {}
            _ => {
                self.attach(clause);
            }
        }
    }

    fn attach(&mut self, clause: Vec<Literal>) -> usize {
        let index = self.clauses.len();
        self.watches[clause[0]].push(index);
        self.watches[clause[1]].push(index);
        self.clauses.push(clause);
        index
    }

    /// The value of each variable, or nothing if the formula cannot be satisfied.
    pub fn solve(&mut self) -> Option<Vec<bool>> {
        let (mut round, mut left) = (1, RESTART);
        loop {
            if self.contradiction {
                return None;
            }
            let conflict = self.propagate();
            if conflict != NONE {
                self.conflicts += 1;
                left = left.saturating_sub(1);
                if self.marks.is_empty() {
                    return None;
                }
                self.learn(conflict);
            } else if left == 0 {
                round += 1;
                left = RESTART * luby(round);
                self.undo(0);
            } else {
                let Some(variable) = self.next_variable() else {
                    return Some((0..self.phases.len()).map(|variable| self.values[2 * variable] > 0).collect());
                };
                self.marks.push(self.trail.len());
                self.assign(2 * variable + usize::from(!self.phases[variable]), NONE);
            }
        }
    }

    fn assign(&mut self, literal: Literal, reason: usize) {
        self.values[literal] = 1;
        self.values[literal ^ 1] = -1;
        self.levels[literal / 2] = self.marks.len();
        self.reasons[literal / 2] = reason;
        self.trail.push(literal);
    }

    /// Draws conclusions until there are none left, or a clause is false, which is the answer.
    fn propagate(&mut self) -> usize {
        while self.head < self.trail.len() {
            let false_literal = self.trail[self.head] ^ 1;
            self.head += 1;
            let mut waiting = std::mem::take(&mut self.watches[false_literal]);
            let (mut from, mut to, mut conflict) = (0, 0, NONE);
            while from < waiting.len() {
                let index = waiting[from];
                from += 1;
                let clause = &mut self.clauses[index];
                if clause[0] == false_literal {
                    clause.swap(0, 1);
                }
                let first = clause[0];
                if self.values[first] <= 0
                    && let Some(other) = (2..clause.len()).find(|at| self.values[clause[*at]] >= 0)
                {
                    clause.swap(1, other);
                    self.watches[clause[1]].push(index);
                    continue;
                }
                waiting[to] = index;
                to += 1;
                if self.values[first] < 0 {
                    conflict = index;
                    break;
                }
                if self.values[first] == UNKNOWN {
                    self.assign(first, index);
                }
            }
            waiting.drain(to..from);
            self.watches[false_literal] = waiting;
            if conflict != NONE {
                return conflict;
            }
        }
        NONE
    }

    /// Learns from a false clause what led to it, and takes back what must be.
    fn learn(&mut self, conflict: usize) {
        let level = self.marks.len();
        let mut learned = vec![0];
        let (mut clause, mut open, mut at, mut skip) = (conflict, 0, self.trail.len(), None);
        let first = loop {
            for n in 0..self.clauses[clause].len() {
                let literal = self.clauses[clause][n];
                let variable = literal / 2;
                if Some(literal) == skip || self.seen[variable] || self.levels[variable] == 0 {
                    continue;
                }
                self.seen[variable] = true;
                self.bump(variable);
                if self.levels[variable] == level {
                    open += 1;
                } else {
                    learned.push(literal);
                }
            }
            loop {
                at -= 1;
                if self.seen[self.trail[at] / 2] {
                    break;
                }
            }
            let literal = self.trail[at];
            self.seen[literal / 2] = false;
            open -= 1;
            if open == 0 {
                break literal;
            }
            (clause, skip) = (self.reasons[literal / 2], Some(literal));
        };
        learned[0] = first ^ 1;
        for literal in &learned {
            self.seen[literal / 2] = false;
        }
        self.step /= 0.95;
        let highest = (1..learned.len()).max_by_key(|at| self.levels[learned[*at] / 2]);
        self.undo(highest.map_or(0, |at| self.levels[learned[at] / 2]));
        match highest {
            None => self.assign(learned[0], NONE),
            Some(at) => {
                learned.swap(1, at);
                let literal = learned[0];
                let index = self.attach(learned);
                self.assign(literal, index);
            }
        }
    }

    fn undo(&mut self, level: usize) {
        let Some(&mark) = self.marks.get(level) else { return };
        for literal in self.trail.split_off(mark) {
            let variable = literal / 2;
            self.values[literal] = UNKNOWN;
            self.values[literal ^ 1] = UNKNOWN;
            self.phases[variable] = literal.is_multiple_of(2);
            if self.places[variable] == NONE {
                self.places[variable] = self.heap.len();
                self.heap.push(variable);
                self.rise(variable);
            }
        }
        self.marks.truncate(level);
        self.head = self.trail.len();
    }

    fn bump(&mut self, variable: usize) {
        self.activities[variable] += self.step;
        if self.activities[variable] > 1e100 {
            self.activities.iter_mut().for_each(|activity| *activity *= 1e-100);
            self.step *= 1e-100;
        }
        if self.places[variable] != NONE {
            self.rise(variable);
        }
    }

    /// Of two variables the one to decide first; of equals that with the lower number.
    fn before(&self, a: usize, b: usize) -> bool {
        (self.activities[a], b) > (self.activities[b], a)
    }

    fn rise(&mut self, variable: usize) {
        let mut at = self.places[variable];
        while at > 0 && self.before(variable, self.heap[(at - 1) / 2]) {
            let parent = self.heap[(at - 1) / 2];
            self.heap[at] = parent;
            self.places[parent] = at;
            at = (at - 1) / 2;
        }
        self.heap[at] = variable;
        self.places[variable] = at;
    }

    fn sink(&mut self, variable: usize) {
        let mut at = self.places[variable];
        loop {
            let (left, right) = (2 * at + 1, 2 * at + 2);
            let Some(&child) = self.heap.get(left) else { break };
            let child = match self.heap.get(right) {
                Some(&other) if self.before(other, child) => other,
                _ => child,
            };
            if !self.before(child, variable) {
                break;
            }
            let place = self.places[child];
            self.heap[at] = child;
            self.places[child] = at;
            at = place;
        }
        self.heap[at] = variable;
        self.places[variable] = at;
    }

    /// Takes the most active variable that has no value yet.
    fn next_variable(&mut self) -> Option<usize> {
        loop {
            let top = *self.heap.first()?;
            let last = self.heap.pop()?;
            self.places[top] = NONE;
            if last != top {
                self.heap[0] = last;
                self.places[last] = 0;
                self.sink(last);
            }
            if self.values[2 * top] == UNKNOWN {
                return Some(top);
            }
        }
    }
}

/// Luby's sequence: 1 1 2 1 1 2 4 …, counted from 1.
fn luby(n: u64) -> u64 {
    let size = (n + 1).next_power_of_two();
    if size == n + 1 { size / 2 } else { luby(n + 1 - size / 2) }
}
