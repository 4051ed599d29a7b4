//! Columns that line up.

use console::{Alignment, measure_text_width, pad_str};

use super::foreign::Shown;

/// Which way a column is aligned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Column {
    /// Text.
    Left,
    /// Figures.
    Right,
}

/// Rows of cells under an optional heading; cells may be styled. A cell is one line, and nothing in it steers the terminal.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    columns: Vec<Column>,
    heading: Option<Vec<String>>,
    rows: Vec<Vec<String>>,
    indent: usize,
}

impl Table {
    /// An empty table with these columns.
    pub(crate) fn new(columns: impl Into<Vec<Column>>) -> Self {
        Self { columns: columns.into(), heading: None, rows: Vec::new(), indent: 0 }
    }

    /// A list of names and values.
    pub(crate) fn pairs() -> Self {
        Self::new([Column::Left, Column::Left])
    }

    /// With a heading.
    pub(crate) fn heading(mut self, names: &[&str]) -> Self {
        self.heading = Some(names.iter().map(|name| console::style(name).dim().to_string()).collect());
        self
    }

    /// Moved to the right by so many blanks.
    pub(crate) const fn indent(mut self, blanks: usize) -> Self {
        self.indent = blanks;
        self
    }

    /// Adds a row; cells beyond the columns are dropped.
    pub(crate) fn row<I, S>(&mut self, cells: I)
    where
        I: IntoIterator<Item = S>,
        S: Into<String>,
    {
        let guarded = |cell: String| Shown::Line.guard(&cell).into_owned();
        let cells = cells.into_iter().map(Into::into).take(self.columns.len());
        self.rows.push(cells.map(guarded).collect());
    }

    /// The table as text, one line for each row, no blanks at the ends of lines.
    pub(crate) fn render(&self) -> String {
        let lines: Vec<&Vec<String>> = self.heading.iter().chain(&self.rows).collect();
        let widths: Vec<usize> = (0..self.columns.len())
            .map(|i| {
                lines.iter().filter_map(|cells| cells.get(i)).map(|cell| measure_text_width(cell)).max().unwrap_or(0)
            })
            .collect();
        let mut text = String::new();
        for cells in lines {
            let mut line = " ".repeat(self.indent);
            for (i, cell) in cells.iter().enumerate() {
                if i > 0 {
                    line.push_str("  ");
                }
                let alignment = match self.columns[i] {
                    Column::Left => Alignment::Left,
                    Column::Right => Alignment::Right,
                };
                line.push_str(&pad_str(cell, widths[i], alignment, None));
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_whatever_the_width_of_their_letters() {
        let mut table = Table::new([Column::Left, Column::Right, Column::Left]).indent(2);
        table.row(["a", "1", "x"]);
        table.row(["Zürich", "1000", ""]);
        table.row(["漢字", "10", "y"]);
        assert_eq!(table.render(), "  a          1  x\n  Zürich  1000\n  漢字      10  y\n");
    }

    #[test]
    fn a_cell_cannot_make_lines_or_steer_the_terminal() {
        let mut table = Table::pairs();
        table.row(["a\nb", "\x1b[31mred\x1b[0m \x1b]0;title\x07"]);
        table.row(["c", "d"]);
        assert_eq!(table.render(), "a\\nb  \x1b[31mred\x1b[0m \\u{1b}]0;title\\u{7}\nc     d\n");
    }

    #[test]
    fn a_row_may_have_fewer_cells_than_the_table_has_columns() {
        let mut table = Table::pairs();
        table.row(["alone"]);
        table.row(["a", "b"]);
        assert_eq!(table.render(), "alone\na      b\n");
    }
}
