//! Folders are compared, and made pages of.

use std::path::Path;

use lota_simulator::{
    Document, Override, Plan, Sweep,
    analysis::{Folder, compare, page},
    run_all,
    runs::Output,
    table::FileFormat,
};

use super::builtin_document;

fn run(
    document: &Document,
    folder: &Path,
    set: &[&str],
    sweep: Option<&str>,
    seeds: u64,
    format: FileFormat,
) -> Folder {
    let overrides = set.iter().map(|text| Override::parse(text).expect("KEY=VALUE")).collect();
    let sweeps = sweep.iter().map(|text| Sweep::parse(text).expect("a sweep")).collect();
    let output = Some(Output { folder: folder.to_owned(), format, every: 60 });
    let plan = Plan { document, overrides, sweeps, seeds: Some(seeds), threads: 2, output };
    run_all(&plan, &|_, _| {}).expect("it can be carried out");
    Folder::read(folder).expect("runs")
}

#[test]
fn a_dearer_provider_is_found_to_cost_welfare_and_what_it_leaves_alone_is_not_said_to_differ() {
    let document = builtin_document("first-market");
    let folders = [(); 4].map(|()| tempfile::tempdir().unwrap());
    let a = run(&document, folders[0].path(), &[], None, 12, FileFormat::Csv);
    let b = run(&document, folders[1].path(), &["providers.cheap.cost=0.15"], None, 12, FileFormat::Parquet);
    let found = compare(&a, &b).expect("comparable");
    let of = |metric: &str| found.iter().find(|it| it.metric == metric).unwrap_or_else(|| panic!("no {metric}"));
    let welfare = of("welfare_fil");
    assert!(welfare.is_paired && welfare.runs_a == 12);
    assert!(welfare.difference < 0.0 && welfare.p_corrected < 0.05, "{welfare:?}");
    let (low, high) = welfare.interval.expect("an interval");
    assert!(low < welfare.difference && welfare.difference < high && high < 0.0, "{welfare:?}");
    assert_eq!((of("settled").difference, of("settled").p), (0.0, 1.0));
    assert!(found.iter().any(|it| it.metric == "profit_fil cheap"));
    assert!(found.iter().all(|it| it.p_corrected >= it.p && it.p_corrected <= 1.0));
    // With itself: nothing differs.
    assert!(compare(&a, &a).expect("comparable").iter().all(|it| it.p_corrected == 1.0));
    let swept = run(&document, folders[2].path(), &[], Some("job.collateral=1..2"), 1, FileFormat::Csv);
    let error = compare(&a, &swept).expect_err("other sweeps").to_string();
    assert!(error.contains("the first sweeps nothing, the second job.collateral=1,2"), "{error}");
    let error = Folder::read(folders[3].path()).expect_err("an empty folder").to_string();
    assert!(error.contains("cannot read the runs in"), "{error}");
}

/// What a page says is the same to a browser whatever a scenario's author wrote.
#[test]
fn a_page_needs_nothing_else_and_no_text_of_a_scenario_is_markup() {
    let hostile = "<script>alert(1)</script><img src=x onerror=alert(1)>'\\\"&\\u202e";
    let text = format!(
        "question = \"{hostile}\"\n\
         [clients.first]\ncount = 1\nbalance = 10\njobs = 4\n\
         [providers.second]\ncount = 2\nbalance = 10\ncost = 0.1\nstrategy = \"lazy\"\n\
         [mediation]\naudit = 0.5\n"
    );
    let document = Document::parse("<b>.toml", &text).expect("a scenario");
    for sweep in [None, Some("job.collateral=1..3")] {
        let folder = tempfile::tempdir().unwrap();
        run(&document, folder.path(), &[], sweep, 3, FileFormat::Csv);
        // No population has such a name, but a file may.
        let file = folder.path().join("populations.csv");
        let names = std::fs::read_to_string(&file).expect("a table");
        let names = names.replace(",first,", ",\"</svg><script>c\",").replace(",second,", ",\"\"\" onload=\"\"p\",");
        std::fs::write(&file, names).expect("written");
        let page = page(&Folder::read(folder.path()).expect("runs")).expect("a page");
        // All markup there is is the page's own.
        let tags: std::collections::BTreeSet<&str> = page
            .split('<')
            .skip(1)
            .map(|rest| {
                rest.trim_start_matches('/').split(|it: char| !it.is_ascii_alphanumeric() && it != '!').next().unwrap()
            })
            .collect();
        let own = [
            "!doctype", "html", "head", "meta", "title", "style", "body", "h1", "h2", "p", "dl", "dt", "dd", "svg",
            "line", "text", "circle", "polygon", "polyline", "rect", "span", "i", "div", "table", "tr", "th", "td",
        ];
        assert!(tags.iter().all(|tag| own.contains(tag)), "{tags:?}");
        for part in page.split('<').skip(1).filter_map(|rest| rest.split_once('>').map(|(tag, _)| tag)) {
            assert!(!part.contains("onload") || part.contains("&quot;"), "{part}");
        }
        assert!(!page.contains("http://") && !page.contains("https://") && !page.contains('\u{202e}'));
        assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;") && page.contains("(lazy)"));
        assert!(page.contains("default-src 'none'"));
        assert_eq!(page.matches("<h2>").count(), 6);
        assert!(page.matches("<svg").count() >= 4, "plots");
        assert!(!page.contains("NaN") && !page.contains("inf\""), "every number is one");
    }
}

/// A table that somebody has written, or that a disk has lost the end of.
#[test]
fn what_is_no_table_of_this_program_is_an_error_and_never_a_panic() {
    let document = builtin_document("first-market");
    let folder = tempfile::tempdir().unwrap();
    run(&document, folder.path(), &[], None, 2, FileFormat::Csv);
    let (runs, manifest) = (folder.path().join("runs.csv"), folder.path().join("manifest.json"));
    let (whole, of) = (std::fs::read_to_string(&runs).unwrap(), std::fs::read_to_string(&manifest).unwrap());
    let welfare = whole.lines().next().unwrap().split(',').position(|name| name == "welfare_fil").unwrap();
    let with_welfare = |value: &str| {
        let row = whole.lines().nth(1).unwrap().split(',').enumerate();
        let row: Vec<&str> = row.map(|(at, cell)| if at == welfare { value } else { cell }).collect();
        format!("{}\n{}\n", whole.lines().next().unwrap(), row.join(","))
    };
    assert!(Folder::read(folder.path()).is_ok());
    for (text, words) in [
        (whole[..whole.len() - 10].to_owned(), "error"),
        (with_welfare("nan"), "none that this program writes"),
        (with_welfare("inf"), "none that this program writes"),
        (with_welfare(""), "none that this program writes"),
        (String::new(), "none that this program writes"),
        ("\0\u{1b}[31m".repeat(1_000), "none that this program writes"),
        (format!("{}\n\"{}", whole.lines().next().unwrap(), "x".repeat(3 << 20)), "a row has more than 1048576 bytes"),
    ] {
        std::fs::write(&runs, text).unwrap();
        let error = Folder::read(folder.path()).map(|_| ()).expect_err(words).to_string();
        assert!(words == "error" || error.contains(words), "{error}");
        assert!(!error.contains('\n') && error.len() < 1_000, "{error}");
    }
    std::fs::write(&runs, &whole).unwrap();
    for text in ["", "{", "[]", "null", &of.replace("\"version\"", "\"wersion\""), &of.replace(": 60", ": -1")] {
        std::fs::write(&manifest, text).unwrap();
        let error = Folder::read(folder.path()).map(|_| ()).expect_err(text).to_string();
        assert!(error.contains("manifest.json is none of this program's") && !error.contains('\n'), "{error}");
    }
}
