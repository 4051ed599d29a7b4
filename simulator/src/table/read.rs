//! Tables are read.

use std::{fs::File, io, path::Path};

use parquet::{
    data_type::Decimal,
    file::{reader::FileReader as _, serialized_reader::SerializedFileReader},
    record::{Field, Row, reader::RowIter},
};

use super::{FileFormat, malformed, parquet::other};

/// A table's rows, one after the other, each cell as the text that it was written from.
pub struct Rows {
    columns: Vec<String>,
    rows: Source,
}

enum Source {
    Csv(Box<csv::StringRecordsIntoIter<File>>),
    Parquet(Box<RowIter<'static>>),
}

impl Rows {
    /// Opens `NAME.csv` or `NAME.parquet` of a folder.
    ///
    /// # Errors
    /// When there is neither, or it cannot be read.
    pub fn open(folder: &Path, name: &str) -> io::Result<Self> {
        for format in [FileFormat::Csv, FileFormat::Parquet] {
            match File::open(folder.join(format!("{name}.{}", format.extension()))) {
                Ok(file) => return Self::of(file, format),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Err(io::Error::new(io::ErrorKind::NotFound, format!("there is neither {name}.csv nor {name}.parquet")))
    }

    /// Reads a file.
    ///
    /// # Errors
    /// When it is none of that format.
    pub fn of(file: File, format: FileFormat) -> io::Result<Self> {
        match format {
            FileFormat::Csv => {
                let mut rows = csv::Reader::from_reader(file);
                let columns = rows.headers()?.iter().map(str::to_owned).collect();
                Ok(Self { columns, rows: Source::Csv(Box::new(rows.into_records())) })
            }
            FileFormat::Parquet => {
                let reader = SerializedFileReader::new(file).map_err(other)?;
                let schema = reader.metadata().file_metadata().schema_descr_ptr();
                let columns = schema.columns().iter().map(|column| column.name().to_owned()).collect();
                let rows = RowIter::from_file_into(Box::new(reader));
                Ok(Self { columns, rows: Source::Parquet(Box::new(rows)) })
            }
        }
    }

    /// The columns' names.
    #[must_use]
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// The place of a column.
    ///
    /// # Errors
    /// When there is none of that name.
    pub fn column(&self, name: &str) -> io::Result<usize> {
        let found = self.columns.iter().position(|column| column == name);
        found
            .ok_or_else(|| malformed(format!("there is no column {name}; was this folder written by another program?")))
    }
}

impl Iterator for Rows {
    type Item = io::Result<Vec<String>>;

    fn next(&mut self) -> Option<Self::Item> {
        match &mut self.rows {
            Source::Csv(rows) => {
                let row = rows.next()?;
                Some(row.map(|row| row.iter().map(str::to_owned).collect()).map_err(io::Error::from))
            }
            Source::Parquet(rows) => Some(rows.next()?.map_err(other).and_then(|row| cells(&row))),
        }
    }
}

fn cells(row: &Row) -> io::Result<Vec<String>> {
    row.get_column_iter()
        .map(|(name, field)| {
            Ok(match field {
                Field::Null => String::new(),
                Field::Str(text) => text.clone(),
                Field::Bool(flag) => flag.to_string(),
                Field::Double(number) => number.to_string(),
                Field::Long(number) => number.to_string(),
                Field::ULong(number) => number.to_string(),
                Field::Decimal(Decimal::Bytes { value, .. }) => {
                    let bytes: Option<[u8; 16]> = value.data().try_into().ok();
                    let bytes = bytes.ok_or_else(|| malformed(format!("{name}: an amount has not 16 bytes")))?;
                    u128::from_be_bytes(bytes).to_string()
                }
                other => return Err(malformed(format!("{name}: {other} is of no kind that tables here have"))),
            })
        })
        .collect()
}
