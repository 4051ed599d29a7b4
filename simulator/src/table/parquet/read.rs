//! Parquet is read column by column, some rows at a time. (The library's own rows panic at levels that somebody else has written.)

use std::{
    fs::File,
    io,
    panic::{self, AssertUnwindSafe},
    vec,
};

use parquet::{
    column::reader::{ColumnReader, ColumnReaderImpl},
    data_type::DataType,
    file::{reader::FileReader as _, serialized_reader::SerializedFileReader},
};

use super::{malformed, other};

/// The library asserts some of what a file says of itself: whatever is not checked here is an error all the same.
fn guarded<T>(read: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    panic::catch_unwind(AssertUnwindSafe(read))
        .unwrap_or_else(|_| Err(malformed("it contradicts itself: no Parquet file of this program's".to_owned())))
}

/// How many rows are held.
const BATCH: usize = 1_024;
/// The longest page, in bytes when it is not compressed: a file's own numbers say how much is taken for one. Those of this program's
/// files have 1 MiB, and a text's dictionary twice as much.
const MAX_CHUNK: i64 = 1 << 28;

/// The rows of a file, each cell as text.
pub(in crate::table) struct ParquetCells {
    file: SerializedFileReader<File>,
    names: Vec<String>,
    next_group: usize,
    columns: Vec<ColumnReader>,
    /// What was read of each column, and not given yet.
    cells: Vec<vec::IntoIter<String>>,
}

impl ParquetCells {
    pub(in crate::table) fn open(file: File) -> io::Result<Self> {
        guarded(|| Self::opened(file))
    }

    fn opened(file: File) -> io::Result<Self> {
        let file = SerializedFileReader::new(file).map_err(other)?;
        let schema = file.metadata().file_metadata().schema_descr_ptr();
        for column in schema.columns() {
            if column.max_rep_level() != 0 || column.max_def_level() != 1 {
                return Err(malformed(format!("{} is no column that tables here have", column.name())));
            }
        }
        for chunk in file.metadata().row_groups().iter().flat_map(|group| group.columns()) {
            for bytes in [chunk.uncompressed_size(), chunk.compressed_size()] {
                if !(0..=MAX_CHUNK).contains(&bytes) {
                    return Err(malformed(format!("a part of it has {bytes} bytes, and at most {MAX_CHUNK} are read")));
                }
            }
            // The library asserts this.
            if chunk.data_page_offset() < 0 || chunk.dictionary_page_offset().is_some_and(|offset| offset < 0) {
                return Err(malformed("a part of it begins before the file".to_owned()));
            }
        }
        let names = schema.columns().iter().map(|column| column.name().to_owned()).collect();
        Ok(Self { file, names, next_group: 0, columns: Vec::new(), cells: Vec::new() })
    }

    pub(in crate::table) fn names(&self) -> &[String] {
        &self.names
    }

    /// The next row; `None` after the last.
    pub(in crate::table) fn row(&mut self) -> io::Result<Option<Vec<String>>> {
        loop {
            let row: Vec<String> = self.cells.iter_mut().filter_map(Iterator::next).collect();
            if !row.is_empty() {
                return Ok(Some(row));
            }
            if !guarded(|| Ok(self.fill()? || self.open_group()?))? {
                return Ok(None);
            }
        }
    }

    /// Begins the next row group; says whether there is one.
    fn open_group(&mut self) -> io::Result<bool> {
        if self.next_group >= self.file.num_row_groups() {
            return Ok(false);
        }
        let group = self.file.get_row_group(self.next_group).map_err(other)?;
        self.next_group += 1;
        let columns = (0..group.num_columns()).map(|at| group.get_column_reader(at));
        self.columns = columns.collect::<Result<_, _>>().map_err(other)?;
        if self.columns.len() != self.names.len() {
            return Err(malformed("a row group has other columns than the file".to_owned()));
        }
        Ok(true)
    }

    /// Reads the next rows of this group; says whether there are any.
    fn fill(&mut self) -> io::Result<bool> {
        let read = self.columns.iter_mut().map(cells_of).collect::<io::Result<Vec<_>>>()?;
        let rows = read.first().map_or(0, Vec::len);
        if read.iter().any(|cells| cells.len() != rows) {
            return Err(malformed("its columns are not of one length".to_owned()));
        }
        self.cells = read.into_iter().map(Vec::into_iter).collect();
        Ok(rows > 0)
    }
}

fn cells_of(column: &mut ColumnReader) -> io::Result<Vec<String>> {
    match column {
        ColumnReader::BoolColumnReader(it) => read(it, |flag| Ok(flag.to_string())),
        // Parquet's unsigned numbers are these 64 bits.
        ColumnReader::Int64ColumnReader(it) => read(it, |number| Ok(number.cast_unsigned().to_string())),
        ColumnReader::DoubleColumnReader(it) => read(it, |number| Ok(number.to_string())),
        ColumnReader::ByteArrayColumnReader(it) => read(it, |text| Ok(text.as_utf8().map_err(other)?.to_owned())),
        ColumnReader::FixedLenByteArrayColumnReader(it) => read(it, |amount| {
            let bytes: Option<[u8; 16]> = amount.data().try_into().ok();
            let bytes = bytes.ok_or_else(|| malformed("an amount has not 16 bytes".to_owned()))?;
            Ok(u128::from_be_bytes(bytes).to_string())
        }),
        _ => Err(malformed("a column is of no kind that tables here have".to_owned())),
    }
}

/// The next cells of a column; what is not there is empty.
fn read<T: DataType>(
    column: &mut ColumnReaderImpl<T>,
    shown: impl Fn(&T::T) -> io::Result<String>,
) -> io::Result<Vec<String>> {
    let (mut levels, mut values) = (Vec::new(), Vec::new());
    column.read_records(BATCH, Some(&mut levels), None, &mut values).map_err(other)?;
    let mut values = values.iter();
    let mut cell = |level: &i16| match level {
        0 => Ok(String::new()),
        1 => {
            values.next().ok_or_else(|| malformed("a column has fewer values than it says".to_owned())).and_then(&shown)
        }
        _ => Err(malformed("a column has levels that are none of its".to_owned())),
    };
    levels.iter().map(&mut cell).collect()
}
