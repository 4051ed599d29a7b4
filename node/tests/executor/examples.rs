//! The programs of `examples/`, on problems whose answers are published.

use std::fs;
use std::path::Path;

use sha2::{Digest as _, Sha256};

use crate::support::{Case, Done, program, text};

pub(crate) fn sat<const N: usize>(args: [&str; N]) -> Case {
    Case::new(program("../examples/sat/sat.wasm")).args(args)
}

pub(crate) fn aggregate<const N: usize>(args: [&str; N]) -> Case {
    Case::new(program("../examples/aggregate/aggregate.wasm")).args(args)
}

pub(crate) fn filter(args: &[&str]) -> Case {
    Case::new(program("../examples/imagefilter/imagefilter.wasm"))
        .edit(|run| run.args = args.iter().map(|arg| (*arg).to_owned()).collect())
}

pub(crate) const ANSCOMBE: &[u8] = include_bytes!("../../../examples/aggregate/data/anscombe.csv");
pub(crate) const SUNSET: &[u8] = include_bytes!("../../../examples/imagefilter/pictures/sunset.png");

fn succeeds(case: &Case) -> Done {
    let outcome = case.execute();
    assert_eq!(outcome.exit_code, 0, "{:?}: {}", outcome.ended, text(&outcome, "stderr"));
    outcome
}

/// The literals of an answer that says that there is a solution.
fn model(answer: &str) -> Vec<i64> {
    assert!(answer.contains("\ns SATISFIABLE\n"), "{answer}");
    let lines = answer.lines().filter_map(|line| line.strip_prefix("v "));
    let words = lines.flat_map(str::split_ascii_whitespace).map(|word| word.parse().unwrap());
    words.take_while(|literal| *literal != 0).collect()
}

#[test]
fn the_solver_finds_the_numbers_of_van_der_waerden() {
    // W(a, b): the least n such that 1..n cannot be coloured. Chvátal 1970; Brown 1974; OEIS A171081, A171082.
    for (a, b, w) in [("3", "3", 9), ("3", "4", 18), ("3", "5", 22), ("3", "6", 32), ("3", "7", 46), ("4", "4", 35)] {
        let (below, at) = ((w - 1).to_string(), w.to_string());
        let name = format!("van-der-waerden-{a}-{b}-{below}");
        let outcome = succeeds(&sat(["--van-der-waerden", a, b, &below]));
        let model = model(&text(&outcome, &format!("outputs/{name}.answer")));
        assert_eq!(model.len(), w - 1);
        // Two colours, and no number of either in equal steps.
        let (a, b): (usize, usize) = (a.parse().unwrap(), b.parse().unwrap());
        for (length, sign) in [(a, 1), (b, -1)] {
            let of = |number: usize| model[number - 1].signum() == sign;
            for first in 1..w {
                for step in (1..w).take_while(|step| first + step * (length - 1) < w) {
                    assert!((0..length).any(|n| !of(first + n * step)), "{name}: {first} in steps of {step}");
                }
            }
        }
        let outcome = succeeds(&sat(["--van-der-waerden", &a.to_string(), &b.to_string(), &at]));
        assert!(text(&outcome, "stdout").contains("\tUNSATISFIABLE\t"), "{}", text(&outcome, "stdout"));
    }
}

#[test]
fn the_solver_knows_how_many_pigeons_sit_in_holes() {
    for (pigeons, holes, answer) in [("7", "7", "\tSATISFIABLE"), ("7", "6", "\tUNSATISFIABLE"), ("1", "1", "\tSAT")] {
        let outcome = succeeds(&sat(["--pigeons", pigeons, holes]));
        assert!(text(&outcome, "stdout").contains(answer), "{}", text(&outcome, "stdout"));
    }
}

#[test]
fn the_solver_reads_dimacs() {
    let formulas: &[(&str, &[u8])] = &[
        ("all.cnf", b"c one of each\np cnf 3 4\n1 2 0 -1\n3 0\n-2 -3 0 2 3 0\n"),
        ("none.cnf", b"p cnf 2 4\n1 2 0\n1 -2 0\n-1 2 0\n-1 -2 0\n"),
        ("trivial.cnf", b"p cnf 2 1\n1 -1 0\n%\n0\n"),
        ("empty.cnf", b"p cnf 1 1\n0\n"),
    ];
    let outcome = succeeds(&sat([]).input("/inputs", formulas));
    let verdicts: Vec<_> =
        text(&outcome, "stdout").lines().map(|line| line.split('\t').nth(1).unwrap().to_owned()).collect();
    assert_eq!(verdicts, ["SATISFIABLE", "UNSATISFIABLE", "UNSATISFIABLE", "SATISFIABLE"]);
    let model = model(&text(&outcome, "outputs/all.cnf.answer"));
    for clause in [&[1, 2][..], &[-1, 3], &[-2, -3], &[2, 3]] {
        assert!(clause.iter().any(|literal| model.contains(literal)), "{model:?}");
    }
    for (bad, message) in [
        (&b"1 2 0\n"[..], "line 1: a clause before"),
        (b"p cnf 2 1\n1 3 0\n", "line 2: \"3\" is no literal"),
        (b"p cnf 99999999999 1\n", "too many variables"),
        (b"", "no line `p cnf"),
    ] {
        let outcome = sat([]).input("/inputs", &[("bad.cnf", bad)]).execute();
        assert_eq!(outcome.exit_code, 1);
        assert!(text(&outcome, "stderr").contains(message), "{}", text(&outcome, "stderr"));
    }
}

#[test]
fn tables_are_summed_up_as_published() {
    // F. J. Anscombe, Graphs in Statistical Analysis, 1973: four sets that nobody can tell apart by these figures.
    let outcome =
        succeeds(&aggregate(["--by", "set", "--digits", "4", "x", "y"]).input("/inputs", &[("a.csv", ANSCOMBE)]));
    let expected = "set,column,count,least,greatest,mean,deviation
I,x,11,4.0000,14.0000,9.0000,3.3166
I,y,11,4.2600,10.8400,7.5009,2.0316
II,x,11,4.0000,14.0000,9.0000,3.3166
II,y,11,3.1000,9.2600,7.5009,2.0317
III,x,11,4.0000,14.0000,9.0000,3.3166
III,y,11,5.3900,12.7400,7.5000,2.0304
IV,x,11,8.0000,19.0000,9.0000,3.3166
IV,y,11,5.2500,12.5000,7.5009,2.0306
";
    assert_eq!(text(&outcome, "outputs/summary.csv"), expected);
    assert_eq!(text(&outcome, "stdout"), "files\t1\nrows\t44\ngroups\t4\n");
}

#[test]
fn large_numbers_that_differ_little_are_summed_up_exactly() {
    // NIST's Statistical Reference Datasets, univariate: NumAcc1 to NumAcc4, with their certified values.
    let alternating = |first: &str, low: &str, high: &str| {
        let mut table = format!("value\n{first}\n");
        for _ in 0..500 {
            table += &format!("{low}\n{high}\n");
        }
        table
    };
    for (table, mean, deviation) in [
        ("value\n10000001\n10000003\n10000002\n".to_owned(), "10000002.0000000", "1.0000000"),
        (alternating("1.2", "1.1", "1.3"), "1.2000000", "0.1000000"),
        (alternating("1000000.2", "1000000.1", "1000000.3"), "1000000.2000000", "0.1000000"),
        (alternating("10000000.2", "10000000.1", "10000000.3"), "10000000.2000000", "0.1000000"),
    ] {
        let outcome =
            succeeds(&aggregate(["--digits", "7", "value"]).input("/inputs", &[("numacc.csv", table.as_bytes())]));
        let summary = text(&outcome, "outputs/summary.csv");
        assert!(summary.ends_with(&format!(",{mean},{deviation}\n")), "{summary}");
    }
}

#[test]
fn tables_are_read_as_rfc_4180_says() {
    let table = b"\xef\xbb\xbfname,\"the, value\"\r\n\"a \"\"quoted\"\"\nname\",1\r\n\"a \"\"quoted\"\"\nname\",\"3\"\r\nb,\r\n";
    let case = aggregate(["--by=name", "--digits=0", "the, value"]).input("/inputs", &[("t.csv", table)]);
    let expected = "name,column,count,least,greatest,mean,deviation\n\"a \"\"quoted\"\"\nname\",\"the, value\",2,1,3,2,1\nb,\"the, value\",0,,,,\n";
    assert_eq!(text(&succeeds(&case), "outputs/summary.csv"), expected);
    for (table, message) in [
        (&b"name,value\na,1,2\n"[..], "line 2: 3 fields, where the first line has 2"),
        (b"name,value\na,one\n", "line 2: \"one\" in column \"value\" is no number"),
        (b"name,value\n\n\"a\nb\",x\n", "line 4: \"x\" in column"),
        (b"name,value\n\"a,1\n", "a quote that is not closed"),
        (b"name,value\n\"a\"b,1\n", "line 2: something after a closing quote"),
        (b"name,price\n", "there is no column \"value\""),
        (b"name,value\n\xff,1\n", "line 2: a field that is not UTF-8"),
        (b"name,value\na,inf\n", "is no number"),
    ] {
        let outcome = aggregate(["--by", "name", "value"]).input("/inputs", &[("t.csv", table)]).execute();
        assert_eq!(outcome.exit_code, 1);
        assert!(text(&outcome, "stderr").contains(message), "{}", text(&outcome, "stderr"));
    }
}

fn digest(outcome: &Done, name: &str) -> String {
    hex::encode(Sha256::digest(fs::read(outcome.result_dir.join("outputs").join(name)).unwrap()))
}

#[test]
fn pictures_are_filtered_as_another_program_does_it() {
    // Digests of the PPM files that a program of a few lines of Python makes of the same pixels.
    for (filters, expected) in [
        ("grey", "a2f94647800ff694d8214b4826f2ddc50511662107aa4f5b1b0db58e105587e0"),
        ("invert", "4937a9fd3f890bdb68debaf1b05b76bfe716771c9fb244b01f0d7bf02b08c523"),
        ("blur", "edeaa93f6769f5f8f8cfcc4f3acbb8c12dfbb280f18d162cd1c167c7d9664ca2"),
        ("sharpen", "4fb8c9037004cf74bccfb3cc9566a049990bf8c0c9c2fdab66ad1da47d608b74"),
        ("edges", "a3ea0dacf1b47175303cb56245d3bf8fc0515a31a5189c9f795401496f25c91a"),
        ("half", "dfa7651d92d6096ba091200850a1e04493dae2d2e071559beacbde743abc822d"),
        ("flip", "ee2cb34ed96d56ebca6d773b434427beeb39610d92db9c36ba90688079f88a32"),
        ("threshold=128", "9529b8f62c2815ebcc6ebe88cae1a2bd8b465d9f0ebb08e5b5e1db8b76872741"),
        ("half half half grey edges invert", "357fc2ed770470a5a070b2ed255f31473f6933d75ec74881ec815700a6606a92"),
    ] {
        let args: Vec<_> = ["--format", "ppm"].into_iter().chain(filters.split(' ')).collect();
        let outcome = succeeds(&filter(&args).input("/inputs", &[("sunset.png", SUNSET)]));
        assert_eq!(digest(&outcome, "sunset.ppm"), expected, "{filters}");
    }
}

#[test]
fn pictures_of_all_kinds_are_read_and_what_is_written_can_be_read_again() {
    // Made by zlib from known pixels; digests of these pixels as PPM.
    for (name, expected) in [
        ("grey", "8e195f1a5de6620d78a3d1395b3104bab1050e2ac0ab9cac2f9482e6dbf79576"),
        ("rgb-fixed-codes", "d776d057e9e5fe970921a3e4be966c5753c2eda44721dca33f4a9d9cce86ae2b"),
        ("rgb-stored", "d776d057e9e5fe970921a3e4be966c5753c2eda44721dca33f4a9d9cce86ae2b"),
        ("rgb-noise", "143e04ff243e98d645bc82f93ff9067a13770b9db72aa111e0ea82111ab451af"),
        ("palette", "184bdd438bf7ec880a8b4c9a6737aa06799fecfea24ecbc2b218f2a6646d6fef"),
        ("grey-alpha", "9f101644eb99e0d309fad4cfc6aa389f3c04c6ecefa1ea07e56cce30a8a996ee"),
        ("rgba", "2bbdca0f5d17e4c2d25f621245b8f892a4c8e6fd4ec606ef6c57d2244154bc67"),
    ] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/pictures/{name}.png"));
        let picture = fs::read(path).unwrap();
        let outcome = succeeds(&filter(&["--format=ppm"]).input("/inputs", &[("a/p.png", &picture)]));
        assert_eq!(digest(&outcome, "a/p.ppm"), expected, "{name}");
        let ppm = fs::read(outcome.result_dir.join("outputs/a/p.ppm")).unwrap();
        let outcome = succeeds(&filter(&["--format", "png"]).input("/inputs", &[("p.ppm", &ppm)]));
        let png = fs::read(outcome.result_dir.join("outputs/p.png")).unwrap();
        let outcome = succeeds(&filter(&["--format", "ppm"]).input("/inputs", &[("p.png", &png)]));
        assert_eq!(digest(&outcome, "p.ppm"), expected, "{name}, written and read");
    }
}

#[test]
fn damaged_pictures_are_refused_and_none_of_them_is_a_trap() {
    let refused = |picture: &[u8], what: &str| {
        let outcome = filter(&["grey"]).input("/inputs", &[("p.png", picture)]).execute();
        assert_eq!(outcome.exit_code, 1, "{what}: {:?}", outcome.ended);
        text(&outcome, "stderr")
    };
    for end in (0..SUNSET.len()).step_by(211) {
        refused(&SUNSET[..end], &format!("the first {end} bytes"));
    }
    for at in (8..SUNSET.len() - 60).step_by(197) {
        let mut picture = SUNSET.to_vec();
        picture[at] ^= 0x55;
        refused(&picture, &format!("byte {at}"));
    }
    for (picture, message) in [
        (&b"P6 2 2 255\n0123456789"[..], "it ends before its 12 bytes"),
        (b"P6 99999 99999 255\n", "empty or too large"),
        (b"P6 0 1 255\n", "empty or too large"),
        (b"P6 1 1 65535\n000000", "only 255 is read"),
        (b"P6 # no end", "its header is damaged"),
        (b"GIF89a", "neither PNG nor"),
    ] {
        assert!(refused(picture, message).contains(message), "{message}");
    }
}
