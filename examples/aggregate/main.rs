//! Sums up tables: count, least, greatest, mean and standard deviation of columns of CSV files, for each group of their rows.
//!
//! Build: `rustc --target wasm32-wasip1 -O main.rs -o aggregate.wasm`
//!
//! Reads all files under `/inputs`, one row at a time, however large they are, and writes `/outputs/summary.csv`.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

const INPUTS: &str = "/inputs";
const SUMMARY: &str = "/outputs/summary.csv";
const USAGE: &str = "usage: aggregate [--by COLUMN]... [--separator CHARACTER] [--digits N] COLUMN...

  --by COLUMN            one group for each value of this column (default: all rows are one)
  --separator CHARACTER  what stands between fields (default: a comma)
  --digits N             digits after the point (default: 6)";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let options = match parse(&args) {
        Ok(options) => options,
        Err(message) => {
            eprintln!("aggregate: {message}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match run(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("aggregate: {message}");
            ExitCode::FAILURE
        }
    }
}

#[derive(Debug)]
struct Options {
    by: Vec<String>,
    columns: Vec<String>,
    separator: u8,
    digits: usize,
}

fn parse(args: &[String]) -> Result<Options, String> {
    let mut options = Options { by: Vec::new(), columns: Vec::new(), separator: b',', digits: 6 };
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        if !arg.starts_with("--") {
            options.columns.push(arg.clone());
            continue;
        }
        let (name, value) = match arg.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (arg.as_str(), None),
        };
        if !["--by", "--separator", "--digits"].contains(&name) {
            return Err(format!("unknown argument {arg:?}"));
        }
        let value = value.or_else(|| args.next().map(String::as_str)).ok_or_else(|| format!("{name} needs a value"))?;
        match (name, value.as_bytes()) {
            ("--by", _) => options.by.push(value.to_owned()),
            ("--separator", [separator]) if !b"\"\r\n".contains(separator) => options.separator = *separator,
            ("--separator", _) => return Err(format!("--separator is one character, not {value:?}")),
            _ => {
                let digits = value.parse().ok().filter(|digits| *digits <= 17);
                options.digits = digits.ok_or_else(|| format!("--digits is 0 to 17, not {value:?}"))?;
            }
        }
    }
    if options.columns.is_empty() { Err("name a column".to_owned()) } else { Ok(options) }
}

/// What is known of the numbers so far. The mean and the squares are kept as Welford does it: no sum of squares that swallows
/// what is small.
#[derive(Debug, Clone, Copy)]
struct Summary {
    count: u64,
    least: f64,
    greatest: f64,
    mean: f64,
    /// Sum of the squared distances from the mean.
    squares: f64,
}

impl Default for Summary {
    fn default() -> Self {
        Self { count: 0, least: f64::INFINITY, greatest: f64::NEG_INFINITY, mean: 0.0, squares: 0.0 }
    }
}

impl Summary {
    fn add(&mut self, value: f64) {
        self.count += 1;
        self.least = self.least.min(value);
        self.greatest = self.greatest.max(value);
        let before = value - self.mean;
        self.mean += before / self.count as f64;
        self.squares += before * (value - self.mean);
    }

    /// Of a sample: divided by one less than the count.
    fn deviation(&self) -> Option<f64> {
        (self.count > 1).then(|| (self.squares / (self.count - 1) as f64).sqrt())
    }
}

type Groups = BTreeMap<Vec<String>, Vec<Summary>>;

fn run(options: &Options) -> Result<(), String> {
    let mut groups = Groups::new();
    let (mut tables, mut rows) = (0, 0);
    for path in files(Path::new(INPUTS))? {
        rows += read(&path, options, &mut groups).map_err(|message| format!("{}: {message}", path.display()))?;
        tables += 1;
    }
    write(options, &groups).map_err(|error| format!("{SUMMARY}: {error}"))?;
    println!("files\t{tables}\nrows\t{rows}\ngroups\t{}", groups.len());
    Ok(())
}

/// All files below a directory, sorted by path.
fn files(root: &Path) -> Result<Vec<PathBuf>, String> {
    let (mut found, mut todo) = (Vec::new(), vec![root.to_owned()]);
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
    Ok(found)
}

/// Adds the rows of a file, and says how many there were.
fn read(path: &Path, options: &Options, groups: &mut Groups) -> Result<u64, String> {
    let file = File::open(path).map_err(|error| error.to_string())?;
    let mut records =
        Records { reader: BufReader::with_capacity(1 << 16, file), separator: options.separator, line: 0 };
    let mut fields = Vec::new();
    if !records.next(&mut fields)? {
        return Ok(0);
    }
    if let Some(first) = fields.first_mut() {
        *first = first.trim_start_matches('\u{feff}').to_owned();
    }
    let header = fields.clone();
    let place = |name: &String| {
        header
            .iter()
            .position(|column| column == name)
            .ok_or_else(|| format!("there is no column {name:?}, but {header:?}"))
    };
    let by = options.by.iter().map(place).collect::<Result<Vec<_>, _>>()?;
    let columns = options.columns.iter().map(place).collect::<Result<Vec<_>, _>>()?;
    let mut rows = 0;
    while records.next(&mut fields)? {
        if fields == [""] {
            continue;
        }
        if fields.len() != header.len() {
            return Err(format!(
                "line {}: {} fields, where the first line has {}",
                records.line,
                fields.len(),
                header.len()
            ));
        }
        rows += 1;
        let group: Vec<String> = by.iter().map(|at| fields[*at].clone()).collect();
        let summaries = groups.entry(group).or_insert_with(|| vec![Summary::default(); columns.len()]);
        for (summary, at) in summaries.iter_mut().zip(&columns) {
            let text = fields[*at].trim();
            // An empty field is a number that is not known.
            if text.is_empty() {
                continue;
            }
            match text.parse::<f64>() {
                Ok(value) if value.is_finite() => summary.add(value),
                _ => return Err(format!("line {}: {text:?} in column {:?} is no number", records.line, header[*at])),
            }
        }
    }
    Ok(rows)
}

/// Most bytes of a field.
const FIELD: usize = 1 << 20;

/// Rows of a CSV file (RFC 4180): fields may be quoted, and then hold separators, line breaks and doubled quotes.
struct Records<R> {
    reader: R,
    separator: u8,
    /// The line that was read last, from 1.
    line: u64,
}

impl<R: BufRead> Records<R> {
    /// Reads the next row; says whether there was one.
    fn next(&mut self, fields: &mut Vec<String>) -> Result<bool, String> {
        fields.clear();
        let (mut field, mut quoted, mut any) = (Vec::new(), false, false);
        // Whether the byte before was a quote inside of a quoted field: it ends it, or another one follows.
        let mut closing = false;
        loop {
            let buffer = self.reader.fill_buf().map_err(|error| error.to_string())?;
            if buffer.is_empty() {
                if quoted && !closing {
                    return Err(format!("line {}: a quote that is not closed", self.line + 1));
                }
                if any {
                    self.line += 1;
                    fields.push(text(field, self.line)?);
                }
                return Ok(any);
            }
            let mut used = 0;
            for byte in buffer {
                (used, any) = (used + 1, true);
                if quoted && !closing {
                    match byte {
                        b'"' => closing = true,
                        _ => field.push(*byte),
                    }
                    self.line += u64::from(*byte == b'\n');
                } else if *byte == b'"' && closing {
                    field.push(b'"');
                    closing = false;
                } else if *byte == b'"' && field.is_empty() {
                    quoted = true;
                } else if *byte == self.separator {
                    (quoted, closing) = (false, false);
                    fields.push(text(std::mem::take(&mut field), self.line + 1)?);
                } else if *byte == b'\n' {
                    self.line += 1;
                    if field.last() == Some(&b'\r') {
                        field.pop();
                    }
                    fields.push(text(field, self.line)?);
                    self.reader.consume(used);
                    return Ok(true);
                } else if closing && *byte != b'\r' {
                    return Err(format!("line {}: something after a closing quote", self.line + 1));
                } else {
                    field.push(*byte);
                }
                if field.len() > FIELD {
                    return Err(format!("line {}: a field of more than {FIELD} bytes", self.line + 1));
                }
            }
            self.reader.consume(used);
        }
    }
}

fn text(bytes: Vec<u8>, line: u64) -> Result<String, String> {
    String::from_utf8(bytes).map_err(|_| format!("line {line}: a field that is not UTF-8"))
}

fn write(options: &Options, groups: &Groups) -> io::Result<()> {
    let mut out = BufWriter::new(File::create(SUMMARY)?);
    let header =
        options.by.iter().map(String::as_str).chain(["column", "count", "least", "greatest", "mean", "deviation"]);
    writeln!(out, "{}", header.map(quoted).collect::<Vec<_>>().join(","))?;
    for (group, summaries) in groups {
        for (column, of) in options.columns.iter().zip(summaries) {
            let number = |number: f64| format!("{number:.*}", options.digits);
            let known = |value: f64| if of.count == 0 { String::new() } else { number(value) };
            let mut row: Vec<String> = group.iter().chain([column]).map(|field| quoted(field)).collect();
            row.push(of.count.to_string());
            row.extend([known(of.least), known(of.greatest), known(of.mean)]);
            row.push(of.deviation().map(number).unwrap_or_default());
            writeln!(out, "{}", row.join(","))?;
        }
    }
    out.flush()
}

/// A field of the summary, which has commas between them.
fn quoted(field: &str) -> String {
    let plain = !field.bytes().any(|byte| b"\",\r\n".contains(&byte));
    if plain { field.to_owned() } else { format!("\"{}\"", field.replace('"', "\"\"")) }
}
