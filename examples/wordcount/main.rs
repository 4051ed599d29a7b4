//! Counts the words of all files under `/inputs`: the first job to send to a Lota market.
//!
//! Build: `rustc --target wasm32-wasip1 -O main.rs -o wordcount.wasm`
//!
//! Writes `/outputs/counts.tsv` (word, tab, count; most frequent first, then by word) and prints totals. Words are runs
//! of letters and digits of any script, lower-cased; an apostrophe between letters belongs to the word.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

const INPUTS: &str = "/inputs";
const COUNTS: &str = "/outputs/counts.tsv";
const USAGE: &str = "usage: wordcount [--top N] [--min-length N] [--find WORD]

  --top N         write only the N most frequent words (default: all)
  --min-length N  ignore words of fewer than N characters (default: 1)
  --find WORD     print nothing but how often this word occurs";

#[derive(Debug, PartialEq, Eq)]
struct Options {
    top: usize,
    min_length: usize,
    find: Option<String>,
}

#[derive(Debug, Default)]
struct Totals {
    files: u64,
    bytes: u64,
    words: u64,
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if args.iter().any(|arg| arg == "--help" || arg == "-h") {
        println!("{USAGE}");
        return ExitCode::SUCCESS;
    }
    let options = match parse(&args) {
        Ok(options) => options,
        Err(message) => {
            eprintln!("wordcount: {message}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match count(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err((path, error)) => {
            eprintln!("wordcount: {}: {error}", path.display());
            ExitCode::FAILURE
        }
    }
}

fn parse(args: &[String]) -> Result<Options, String> {
    let mut options = Options { top: usize::MAX, min_length: 1, find: None };
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        let (name, value) = match arg.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (arg.as_str(), None),
        };
        if !["--top", "--min-length", "--find"].contains(&name) {
            return Err(format!("unknown argument {arg:?}"));
        }
        let value = value.or_else(|| args.next().cloned()).ok_or_else(|| format!("{name} needs a value"))?;
        let number = || value.parse().map_err(|_| format!("{name} needs a number, not {value:?}"));
        match name {
            "--top" => options.top = number()?,
            "--min-length" => options.min_length = number()?,
            _ => options.find = Some(value.to_lowercase()),
        }
    }
    Ok(options)
}

type Failure = (PathBuf, io::Error);

fn count(options: &Options) -> Result<(), Failure> {
    let mut totals = Totals::default();
    let mut counts = HashMap::new();
    for path in files(Path::new(INPUTS))? {
        read(&path, options, &mut counts, &mut totals).map_err(|error| (path, error))?;
        totals.files += 1;
    }
    let distinct = counts.len();
    let found = options.find.as_ref().map(|word| counts.get(word).copied().unwrap_or_default());
    let mut counts: Vec<(String, u64)> = counts.into_iter().collect();
    counts.sort_by(|(a, n), (b, m)| m.cmp(n).then_with(|| a.cmp(b)));
    counts.truncate(options.top);
    write(&counts).map_err(|error| (COUNTS.into(), error))?;
    if let Some(found) = found {
        println!("{found}");
        return Ok(());
    }
    println!("files\t{}\nbytes\t{}\nwords\t{}\ndistinct\t{distinct}", totals.files, totals.bytes, totals.words);
    Ok(())
}

/// All files below a directory, sorted by path.
fn files(root: &Path) -> Result<Vec<PathBuf>, Failure> {
    let mut found = Vec::new();
    let mut todo = vec![root.to_owned()];
    while let Some(path) = todo.pop() {
        let listed = fs::metadata(&path).and_then(|metadata| {
            if metadata.is_dir() { fs::read_dir(&path)?.collect::<io::Result<Vec<_>>>().map(Some) } else { Ok(None) }
        });
        match listed.map_err(|error| (path.clone(), error))? {
            Some(entries) => todo.extend(entries.iter().map(fs::DirEntry::path)),
            None => found.push(path),
        }
    }
    found.sort();
    Ok(found)
}

fn read(path: &Path, options: &Options, counts: &mut HashMap<String, u64>, totals: &mut Totals) -> io::Result<()> {
    let mut reader = BufReader::with_capacity(1 << 16, File::open(path)?);
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line)? > 0 {
        totals.bytes += line.len() as u64;
        for word in words(&String::from_utf8_lossy(&line)) {
            if word.chars().count() < options.min_length {
                continue;
            }
            totals.words += 1;
            match counts.get_mut(&word) {
                Some(count) => *count += 1,
                None => {
                    counts.insert(word, 1);
                }
            }
        }
        line.clear();
    }
    Ok(())
}

/// The words of a text, lower-cased.
fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let combining = ('\u{300}'..='\u{36f}').contains(&c);
        let apostrophe = matches!(c, '\'' | '\u{2019}') && chars.peek().is_some_and(|next| next.is_alphanumeric());
        if c.is_alphanumeric() || (!word.is_empty() && (combining || apostrophe)) {
            word.extend(c.to_lowercase());
        } else if !word.is_empty() {
            words.push(std::mem::take(&mut word));
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

fn write(counts: &[(String, u64)]) -> io::Result<()> {
    let mut out = BufWriter::new(File::create(COUNTS)?);
    for (word, count) in counts {
        writeln!(out, "{word}\t{count}")?;
    }
    out.flush()
}
