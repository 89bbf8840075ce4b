//! Tables of aligned columns without rules, fitted to the terminal width.

use anstyle::Style;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::failure::printable;

/// The space between columns.
const GAP: usize = 2;

/// A cell.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cell {
    text: String,
    /// A longer text for a column that is lifted out of the table.
    full: Option<String>,
    style: Style,
}

impl Cell {
    pub(crate) fn new(text: impl AsRef<str>) -> Self {
        Self::styled(text, Style::new())
    }

    pub(crate) fn styled(text: impl AsRef<str>, style: Style) -> Self {
        Self { text: printable(text.as_ref()), full: None, style }
    }

    /// Sets a longer text, used if the column is lifted out of the table.
    pub(crate) fn short_for(mut self, full: impl AsRef<str>) -> Self {
        self.full = Some(printable(full.as_ref()));
        self
    }

    pub(crate) fn dim(text: impl AsRef<str>) -> Self {
        Self::styled(text, Style::new().dimmed())
    }
}

/// Title and layout of a column.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Column {
    title: &'static str,
    right: bool,
    /// Minimum width, if the column can be cut.
    least: Option<usize>,
    /// Label of the value if all rows share it, which is then printed once below the table.
    lift: Option<&'static str>,
    /// Whether the column is omitted if the table doesn't fit.
    optional: bool,
}

impl Column {
    pub(crate) const fn new(title: &'static str) -> Self {
        Self { title, right: false, least: None, lift: None, optional: false }
    }

    /// Aligns the cells to the right.
    pub(crate) const fn right(mut self) -> Self {
        self.right = true;
        self
    }

    /// Allows the column to be cut down to this width.
    pub(crate) const fn shrinks(mut self, least: usize) -> Self {
        self.least = Some(least);
        self
    }

    /// Omits the column if the table doesn't fit with all columns cut. The last one goes first.
    pub(crate) const fn optional(mut self) -> Self {
        self.optional = true;
        self
    }

    /// Removes the column if all rows have the same text, which is then printed as `label text`.
    pub(crate) const fn lifts(mut self, label: &'static str) -> Self {
        self.lift = Some(label);
        self
    }
}

/// Rows in columns.
#[derive(Debug)]
pub(crate) struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<Cell>>,
}

impl Table {
    pub(crate) fn new(columns: impl IntoIterator<Item = Column>) -> Self {
        Self { columns: columns.into_iter().collect(), rows: Vec::new() }
    }

    /// Adds a row with one cell for each column.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = Cell>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// Removes columns in which all rows are equal, and returns their labels and values.
    pub(crate) fn lift(&mut self) -> Vec<String> {
        let mut lifted = Vec::new();
        if self.rows.len() < 2 {
            return lifted;
        }
        for at in (0..self.columns.len()).rev() {
            let Some(label) = self.columns[at].lift else { continue };
            let first = &self.rows[0][at];
            if self.rows.iter().all(|row| row[at].text == first.text) {
                if !first.text.is_empty() {
                    lifted.push(format!("{label} {}", first.full.as_ref().unwrap_or(&first.text)));
                }
                self.columns.remove(at);
                for row in &mut self.rows {
                    row.remove(at);
                }
            }
        }
        lifted.reverse();
        lifted
    }

    /// The lines of the table, cut to `width` as far as the columns allow it.
    pub(crate) fn lines(&self, width: Option<usize>) -> Vec<String> {
        let widths = self.widths(width);
        let header = Style::new().bold();
        let titles: Vec<_> = self.columns.iter().map(|it| Cell::styled(it.title, header)).collect();
        let has_titles = self.columns.iter().any(|it| !it.title.is_empty());
        let rows = has_titles.then_some(&titles).into_iter().chain(&self.rows);
        rows.map(|row| self.line(row, &widths)).collect()
    }

    /// The width of each column; `None` for one that is omitted.
    fn widths(&self, width: Option<usize>) -> Vec<Option<usize>> {
        let natural = |at: usize| {
            let cells = self.rows.iter().map(|row| row[at].text.width());
            Some(cells.chain([self.columns[at].title.width()]).max().unwrap_or_default())
        };
        let mut widths: Vec<_> = (0..self.columns.len()).map(natural).collect();
        let Some(width) = width else { return widths };
        loop {
            let shown = widths.iter().flatten().count();
            let needed = widths.iter().flatten().sum::<usize>() + GAP * shown.saturating_sub(1);
            let Some(excess) = needed.checked_sub(width).filter(|excess| *excess > 0) else {
                return widths;
            };
            let room = |at: usize| Some(widths[at]?.saturating_sub(self.columns[at].least?));
            // The widest column shrinks first.
            let widest = (0..widths.len())
                .filter(|at| room(*at).is_some_and(|room| room > 0))
                .max_by_key(|at| widths[*at]);
            let optional =
                (0..widths.len()).rfind(|at| self.columns[*at].optional && widths[*at].is_some());
            if let Some(widest) = widest {
                let next = (0..widths.len())
                    .filter(|at| *at != widest && room(*at).is_some_and(|room| room > 0))
                    .filter_map(|at| widths[at])
                    .max();
                // Down to the next widest in one step: a cell may have a million characters.
                let step = widths[widest].unwrap_or_default().saturating_sub(next.unwrap_or(0));
                let step = step.max(1).min(excess).min(room(widest).unwrap_or(1));
                widths[widest] = widths[widest].map(|width| width - step);
            } else if let Some(optional) = optional {
                widths[optional] = None;
            } else {
                return widths;
            }
        }
    }

    fn line(&self, row: &[Cell], widths: &[Option<usize>]) -> String {
        let mut line = String::new();
        let is_shown = |at: usize| widths[at].is_some() && !row[at].text.is_empty();
        let last = (0..row.len()).rfind(|at| is_shown(*at)).unwrap_or_default();
        for (at, cell) in row.iter().enumerate().take(last + 1) {
            let Some(width) = widths[at] else { continue };
            let text = cut(&cell.text, width);
            let space = " ".repeat(width.saturating_sub(text.width()));
            let (before, after) =
                if self.columns[at].right { (&*space, "") } else { ("", &*space) };
            line.push_str(before);
            if text.is_empty() {
            } else if cell.style == Style::new() {
                line.push_str(&text);
            } else {
                let style = cell.style;
                line.extend([format!("{style}"), text, format!("{style:#}")]);
            }
            if at < last {
                line.push_str(after);
                line.push_str(&" ".repeat(GAP));
            }
        }
        line
    }
}

/// The text cut to a width, with an ellipsis at the cut.
pub(crate) fn cut(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut cut = String::new();
    let mut used = 0;
    for char in text.chars() {
        let wide = char.width().unwrap_or_default();
        if used + wide + 1 > width {
            break;
        }
        used += wide;
        cut.push(char);
    }
    cut.push('…');
    cut
}

/// A bar for a share, in eighths of a character.
pub(crate) fn bar(share: f64, width: usize) -> String {
    const EIGHTHS: [char; 8] = [' ', '▏', '▎', '▍', '▌', '▋', '▊', '▉'];
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "the share is between 0 and 1, and the width a few dozen characters"
    )]
    let eighths = (share.clamp(0.0, 1.0) * (width * 8) as f64).round() as usize;
    // A share above zero is always visible.
    let eighths = if share > 0.0 { eighths.max(1) } else { eighths };
    let mut bar = "█".repeat(eighths / 8);
    if !eighths.is_multiple_of(8) {
        bar.push(EIGHTHS[eighths % 8]);
    }
    bar
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_fits_the_width_and_lifts_shared_values() {
        let columns = [
            Column::new("ID"),
            Column::new("CLIENT").lifts("client"),
            Column::new("TEXT").shrinks(4),
            Column::new("N").right(),
        ];
        let mut table = Table::new(columns);
        table.row(["a", "same", "語語語語", "1"].map(Cell::new));
        table.row(["bc", "same", "a long text\u{1b}", "12"].map(Cell::new));
        assert_eq!(table.lift(), ["client same"]);
        let lines =
            |table: &Table, width| table.lines(width).iter().skip(1).cloned().collect::<Vec<_>>();
        let plain = |width| lines(&table, width);
        assert_eq!(plain(None), ["a   語語語語       1", "bc  a long text\u{fffd}  12"]);
        assert_eq!(plain(Some(13)), ["a   語語…   1", "bc  a lo…  12"]);
        table.columns[1] = table.columns[1].optional();
        assert_eq!(lines(&table, Some(9)), ["a    1", "bc  12"]);
    }

    #[test]
    fn a_bar_is_visible_for_any_share_above_zero() {
        assert_eq!(bar(0.0, 4), "");
        assert_eq!(bar(0.001, 4), "▏");
        assert_eq!(bar(0.5, 4), "██");
        assert_eq!(bar(2.0, 4), "████");
    }
}
