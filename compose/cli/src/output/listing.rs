//! Lists: the same rows as a table, as JSON, or in the form of a template.

use serde_json::Value;

use super::template::{Template, TemplateError};
use super::{Table, print};
use crate::error::CommandError;

/// What `--format` asks for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Format {
    /// The usual columns.
    Table,
    /// Columns of a template: `table {{.Name}}\t{{.Status}}`.
    TableOf(Template),
    /// One object a line.
    Json,
    /// A template a row.
    Template(Template),
}

impl Format {
    pub(crate) fn parse(text: &str) -> Result<Self, CommandError> {
        let template = |text: &str| Template::parse(text).map_err(|error| wrong(&error));
        match text.trim() {
            "" | "table" => Ok(Self::Table),
            "json" => Ok(Self::Json),
            other => match other.strip_prefix("table ") {
                Some(columns) => Ok(Self::TableOf(template(columns.trim())?)),
                None if other.contains("{{") => Ok(Self::Template(template(text)?)),
                None => Err(CommandError::Usage(format!("unsupported format `{other}`: expected table, json, or a template"))),
            },
        }
    }
}

pub(crate) fn wrong(error: &TemplateError) -> CommandError {
    CommandError::Usage(error.to_string())
}

/// One row: its fields by the names that scripts know, and its labels.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) fields: Value,
    pub(crate) labels: Value,
}

impl From<Value> for Row {
    fn from(fields: Value) -> Self {
        Self { fields, labels: Value::Null }
    }
}

/// Rows, and the columns that they have unless told otherwise: heading and field.
#[derive(Debug)]
pub(crate) struct Listing {
    columns: &'static [(&'static str, &'static str)],
    rows: Vec<Row>,
}

impl Listing {
    pub(crate) fn new(columns: &'static [(&'static str, &'static str)], rows: Vec<Row>) -> Self {
        Self { columns, rows }
    }

    pub(crate) fn print(&self, format: &Format) -> Result<(), CommandError> {
        print(&self.render(format)?)
    }

    pub(crate) fn render(&self, format: &Format) -> Result<String, CommandError> {
        let lines = |line: &dyn Fn(&Row) -> Result<String, TemplateError>| {
            let lines: Result<String, _> = self.rows.iter().map(|row| line(row).map(|line| line + "\n")).collect();
            lines.map_err(|error| wrong(&error))
        };
        match format {
            Format::Table => Ok(self.table()),
            Format::TableOf(template) => self.table_of(template),
            Format::Json => lines(&|row| Ok(row.fields.to_string())),
            Format::Template(template) => lines(&|row| template.fill(&row.fields, &row.labels)),
        }
    }

    fn table(&self) -> String {
        let headings: Vec<&str> = self.columns.iter().map(|(heading, _)| *heading).collect();
        let mut table = Table::new(&headings);
        for row in &self.rows {
            table.row(self.columns.iter().map(|(_, field)| text(&row.fields[*field])).collect());
        }
        table.render()
    }

    fn table_of(&self, template: &Template) -> Result<String, CommandError> {
        let heading = |field: &str| match self.columns.iter().find(|(_, name)| *name == field) {
            Some((heading, _)) => (*heading).to_owned(),
            None => field.to_uppercase(),
        };
        let headings = template.headings(heading);
        let mut table = Table::new(&headings.split('\t').collect::<Vec<_>>());
        for row in &self.rows {
            let line = template.fill(&row.fields, &row.labels).map_err(|error| wrong(&error))?;
            table.row(line.split('\t').map(str::to_owned).collect());
        }
        Ok(table.render())
    }
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn shows_the_same_rows_in_every_form() {
        let rows = vec![json!({ "Name": "a", "ID": "1" }).into(), json!({ "Name": "long", "ID": "2" }).into()];
        let listing = Listing::new(&[("NAME", "Name"), ("IMAGE ID", "ID")], rows);
        let check = |format: &str, expected: &str| {
            assert_eq!(listing.render(&Format::parse(format).unwrap()).unwrap(), expected, "{format}");
        };
        check("table", "NAME   IMAGE ID\na      1\nlong   2\n");
        check(r"table {{.ID}}\t{{.Name}}", "IMAGE ID   NAME\n1          a\n2          long\n");
        check("json", "{\"ID\":\"1\",\"Name\":\"a\"}\n{\"ID\":\"2\",\"Name\":\"long\"}\n");
        check("{{.Name}}!", "a!\nlong!\n");
        assert!(Format::parse("yaml").is_err());
        assert!(listing.render(&Format::parse("{{.None}}").unwrap()).is_err());
    }
}
