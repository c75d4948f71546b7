//! What stands in the report of all listings: its header, in whatever language it comes, and its rows.
//!
//! Pure. The columns are found by their names, which Amazon translates for some accounts whatever locale is asked for. A header
//! of which a needed column is not known is refused: a number from the wrong column would be worse than none.

use encoding_rs::{Encoding, SHIFT_JIS, UTF_8, WINDOWS_1252};

use crate::{
    connectors::CatalogueItem,
    model::{FulfilledBy, IdKind, Identifiers, Levels, Quantity},
};

/// A column that is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Column {
    Sku,
    Quantity,
    Fulfilment,
    Asin,
    Product,
    ProductKind,
    Title,
}

/// What the columns are called: in English, German, French, Italian, Spanish, Polish, Japanese, Chinese and Arabic, as far as
/// reports of such accounts were seen. The Turkish ones are the English ones with a translation in brackets.
const NAMES: [(Column, &[&str]); 7] = [
    (
        Column::Sku,
        &[
            "seller-sku",
            "Händler-SKU",
            "sku-vendeur",
            "SKU venditore",
            "SKU del vendedor",
            "sku-sprzedawcy",
            "出品者SKU",
            "卖家 SKU",
            "sku-البائع",
        ],
    ),
    (Column::Quantity, &["quantity", "Menge", "quantité", "Quantità", "Cantidad", "ilość", "数量", "الكمية"]),
    (
        Column::Fulfilment,
        &[
            "fulfillment-channel",
            "fulfilment-channel",
            "Versender",
            "canal-traitement",
            "Canale di gestione",
            "Canal de gestión logística",
            "kanał-realizacji",
            "フルフィルメント・チャンネル",
            "配送渠道",
            "قناة-الشحن",
        ],
    ),
    (Column::Asin, &["asin1"]),
    (
        Column::Product,
        &[
            "product-id",
            "Produkt-ID",
            "id-produit",
            "Identificativo del prodotto",
            "Identificador del producto",
            "identyfikator-produktu",
            "商品ID",
            "رقم-المنتج",
        ],
    ),
    (
        Column::ProductKind,
        &[
            "product-id-type",
            "Produkt-ID-Typ",
            "type-id-produit",
            "Tipo di identificativo del prodotto",
            "Tipo de identificador de producto",
            "typ-identyfikatora-produktu",
            "商品IDタイプ",
            "商品编码类型",
            "نوع-رقم-المنتج",
        ],
    ),
    (
        Column::Title,
        &[
            "item-name",
            "Artikelbezeichnung",
            "nom-produit",
            "Nome dell'articolo",
            "Título del producto",
            "nazwa-produktu",
            "商品名",
            "商品名称",
            "اسم-المنتج",
        ],
    ),
];

/// What stands in the place of a character that Amazon could not write.
const LOST: [char; 2] = ['?', char::REPLACEMENT_CHARACTER];

/// The kind of product identifier that is an ASIN.
const IS_ASIN: &str = "1";

/// How many characters of a title are kept.
const TITLE_CHARS: usize = 200;

/// How many columns an error names, and how much of a text from outside.
const TOLD_MAX: usize = 40;
const TEXT_CHARS: usize = 60;

/// In which encoding a report is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Charset {
    told: Option<&'static Encoding>,
    /// What it is taken for where nothing is told and it is not UTF-8.
    other: &'static Encoding,
}

impl Charset {
    /// Takes the charset that a `Content-Type` names. One that it does not name, or that is not known, is found out text by
    /// text.
    pub(super) fn of(content_type: Option<&str>, marketplace: &str) -> Charset {
        const JAPAN: &str = "A1VC38T7YXB528";
        let told = content_type.and_then(|text| {
            let value = text.split(';').find_map(|part| {
                let (name, value) = part.split_once('=')?;
                name.trim().eq_ignore_ascii_case("charset").then(|| value.trim().trim_matches('"'))
            })?;
            // Names that Java gives and the Web does not know.
            let label = match value.to_ascii_lowercase().as_str() {
                "cp932" | "x-windows-31j" | "x-ms932" => "shift_jis",
                _ => value,
            };
            Encoding::for_label(label.as_bytes())
        });
        Charset { told, other: if marketplace == JAPAN { SHIFT_JIS } else { WINDOWS_1252 } }
    }

    /// Reads a text. What cannot be read stands as U+FFFD.
    fn text(self, bytes: &[u8]) -> String {
        let encoding = match self.told {
            Some(told) => told,
            None if std::str::from_utf8(bytes).is_ok() => UTF_8,
            None => self.other,
        };
        encoding.decode_without_bom_handling(bytes).0.into_owned()
    }

    /// Tells whether a text lost characters, or may have: Amazon writes `?` for what the encoding does not have.
    fn lost(self, text: &str) -> bool {
        text.contains(char::REPLACEMENT_CHARACTER) || (self.told != Some(UTF_8) && text.contains('?'))
    }

    /// Tells whether a line feed or a tabulator byte may be a part of another character.
    pub(super) fn is_wide(self) -> bool {
        self.told.is_some_and(|told| !told.is_ascii_compatible())
    }
}

/// Where the columns are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Table {
    charset: Charset,
    width: usize,
    sku: usize,
    quantity: usize,
    fulfilment: usize,
    asin: Option<usize>,
    /// Which column holds a product's identifier, and which says of what kind it is.
    product: Option<(usize, usize)>,
    title: Option<usize>,
}

/// What a row tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Row {
    Item(CatalogueItem),
    /// Its code lost characters, or may have: what has this ASIN is to be read by itself.
    Spoilt(String),
}

impl Table {
    /// Reads a header.
    pub(super) fn of(line: &[u8], charset: Charset) -> Result<Table, String> {
        let line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
        let names: Vec<String> = cells(line).map(|cell| charset.text(cell)).collect();
        let place = |column: Column| place(&names, column);
        let needed = |column: Column, what: &str| {
            place(column)?.ok_or_else(|| format!("no column of it is known as the {what}: {}", told(&names)))
        };
        Ok(Table {
            charset,
            width: names.len(),
            sku: needed(Column::Sku, "seller SKU")?,
            quantity: needed(Column::Quantity, "quantity")?,
            fulfilment: needed(Column::Fulfilment, "fulfilment channel")?,
            asin: place(Column::Asin)?,
            product: place(Column::Product)?.zip(place(Column::ProductKind)?),
            title: place(Column::Title)?,
        })
    }

    /// Reads a row.
    pub(super) fn row(&self, line: &[u8]) -> Result<Row, String> {
        let row: Vec<&[u8]> = cells(line).collect();
        if row.len() != self.width {
            return Err(format!("it has {} columns where {} are named", row.len(), self.width));
        }
        let cell = |at: usize| row.get(at).map(|cell| self.charset.text(cell)).unwrap_or_default();
        let sku = cell(self.sku);
        if sku.trim().is_empty() {
            return Err("it names no SKU".to_owned());
        }
        let asin = self.asin.map(cell).filter(|asin| is_asin(asin)).or_else(|| {
            let (product, kind) = self.product?;
            Some(cell(product)).filter(|id| cell(kind).trim() == IS_ASIN && is_asin(id))
        });
        let pairs = [(IdKind::Sku, Some(sku.as_str())), (IdKind::Asin, asin.as_deref())];
        let pairs = pairs.into_iter().filter_map(|(kind, value)| Some((kind, value?)));
        let ids = Identifiers::new(pairs).map_err(|bad| bad.to_string())?;
        let (by, unwritable) = fulfilled(&cell(self.fulfilment));
        let (by, levels, unwritable) = match (by, quantity(&cell(self.quantity))) {
            (FulfilledBy::Merchant, Ok(levels)) => (by, levels, None),
            (FulfilledBy::Merchant, Err(why)) => (FulfilledBy::Unknown, None, Some(why)),
            (by, _) => (by, None, unwritable),
        };
        let title = self.title.map(cell).filter(|title| !title.is_empty());
        let title = title.map(|title| title.chars().take(TITLE_CHARS).collect());
        match asin {
            Some(asin) if self.charset.lost(&sku) => Ok(Row::Spoilt(asin)),
            None if self.charset.lost(&sku) => {
                Err(format!("its SKU `{}` lost characters, or may have, and it has no ASIN", short(&sku)))
            }
            _ => Ok(Row::Item(CatalogueItem { ids, title, by, levels, unwritable })),
        }
    }
}

fn cells(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.strip_suffix(b"\r").unwrap_or(line).split(|byte| *byte == b'\t')
}

/// Returns where a column is, if it is there.
fn place(names: &[String], column: Column) -> Result<Option<usize>, String> {
    let (_, known) = NAMES.iter().find(|(of, _)| *of == column).unwrap_or(&NAMES[0]);
    let is_it = |name: &String| known.iter().any(|known| same(name, known));
    let mut found = names.iter().enumerate().filter(|(_, name)| is_it(name));
    let first = found.next();
    match (first, found.next()) {
        (Some((_, one)), Some((_, other))) => {
            Err(format!("its columns `{}` and `{}` may be the same: {}", one, other, told(names)))
        }
        (first, _) => Ok(first.map(|(at, _)| at)),
    }
}

/// Tells whether a header names a column. A character that Amazon lost may have been any, if most of them are left.
fn same(name: &str, known: &str) -> bool {
    let (name, known) = (folded(name), folded(known));
    let lost = name.iter().filter(|c| LOST.contains(*c)).count();
    2 * lost < name.len().max(1)
        && name.len() == known.len()
        && name.iter().zip(&known).all(|(c, known)| c == known || LOST.contains(c))
}

/// Returns the letters of a header: its case, its hyphens and spaces differ, and some bear a translation in brackets.
fn folded(name: &str) -> Vec<char> {
    let bare = name.split('(').next().unwrap_or(name);
    let kept = |c: &char| !c.is_whitespace() && !['-', '_', '\'', '’', '\u{feff}', '"'].contains(c);
    bare.chars().filter(kept).flat_map(char::to_lowercase).collect()
}

fn told(names: &[String]) -> String {
    let mut all: Vec<String> = names.iter().take(TOLD_MAX).map(|name| format!("`{}`", short(name))).collect();
    if names.len() > TOLD_MAX {
        all.push("…".to_owned());
    }
    format!("its header is {}", all.join(", "))
}

/// Cuts a text from outside down to what a message can hold.
fn short(text: &str) -> String {
    text.chars().take(TEXT_CHARS).flat_map(char::escape_debug).collect()
}

fn is_asin(text: &str) -> bool {
    text.len() == 10 && text.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit())
}

/// Returns who ships a listing, and why it is not to be written, if so.
fn fulfilled(code: &str) -> (FulfilledBy, Option<String>) {
    match code.trim() {
        "DEFAULT" => (FulfilledBy::Merchant, None),
        code if code.starts_with("AMAZON") => {
            (FulfilledBy::Channel, Some(format!("fulfilled by Amazon (`{}`)", short(code))))
        }
        code => {
            let why = format!("it has the fulfilment channel `{}`", short(code));
            (FulfilledBy::Unknown, Some(why))
        }
    }
}

/// Reads a quantity. `None`: nothing is offered.
fn quantity(text: &str) -> Result<Option<Levels>, String> {
    if text.trim().is_empty() {
        return Ok(None);
    }
    let units = text.trim().parse::<i64>().ok().filter(|units| *units >= 0);
    let units = units.and_then(|units| Quantity::bounded(units).ok());
    let units = units.ok_or_else(|| format!("its quantity is `{}`", short(text)))?;
    Ok(Some(Levels::of(units)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENGLISH: &str = "item-name\titem-description\tlisting-id\tseller-sku\tprice\tquantity\topen-date\timage-url\t\
        item-is-marketplace\tproduct-id-type\tzshop-shipping-fee\titem-note\titem-condition\tzshop-category1\t\
        zshop-browse-path\tzshop-storefront-feature\tasin1\tasin2\tasin3\twill-ship-internationally\texpedited-shipping\t\
        zshop-boldface\tproduct-id\tbid-for-featured-placement\tadd-delete\tpending-quantity\tfulfillment-channel\t\
        merchant-shipping-group\tstatus";

    fn charset(label: &str) -> Charset {
        Charset::of(Some(&format!("text/plain; charset={label}")), "ATVPDKIKX0DER")
    }

    fn bytes(text: &str, label: &str) -> Vec<u8> {
        let encoding = Encoding::for_label(label.as_bytes()).expect("an encoding");
        encoding.encode(text).0.into_owned()
    }

    /// A header in an encoding, and where SKU, quantity, fulfilment channel and ASIN stand in it.
    #[track_caller]
    fn check(header: &str, label: &str, want: Result<[usize; 4], &str>) {
        let read = Table::of(&bytes(header, label), charset(label));
        match (read, want) {
            (Ok(table), Ok(want)) => {
                let asin = table.asin.or(table.product.map(|(product, _)| product)).expect("a product");
                assert_eq!([table.sku, table.quantity, table.fulfilment, asin], want, "{header}");
            }
            (Err(why), Err(want)) => assert!(why.contains(want), "{why}"),
            (read, _) => panic!("{header}: {read:?}"),
        }
    }

    #[test]
    fn headers_of_many_marketplaces_are_known() {
        check(ENGLISH, "cp1252", Ok([3, 5, 26, 16]));
        check(&ENGLISH.replace("fulfillment", "fulfilment"), "utf-8", Ok([3, 5, 26, 16]));
        check("\u{feff}Seller SKU\tQuantity\tFulfillment Channel\tASIN 1", "utf-8", Ok([0, 1, 2, 3]));
        check("Artikelbezeichnung\tHändler-SKU\tPreis\tMenge\tASIN 1\tVersender", "cp1252", Ok([1, 3, 5, 4]));
        check("nom-produit\tsku-vendeur\tquantité\tasin1\tcanal-traitement", "iso-8859-1", Ok([1, 2, 4, 3]));
        check(
            "Nome dell'articolo\tSKU venditore\tQuantità\tASIN 1\tCanale di gestione",
            "cp1252",
            Ok([1, 2, 4, 3]),
        );
        check(
            "Título del producto\tSKU del vendedor\tCantidad\tASIN 1\tCanal de gestión logística",
            "cp1252",
            Ok([1, 2, 4, 3]),
        );
        check(
            "nazwa-produktu\tsku-sprzedawcy\tilość\tasin1\tkanał-realizacji",
            "iso-8859-2",
            Ok([1, 2, 4, 3]),
        );
        check(
            "商品名\t出品ID\t出品者SKU\t価格\t数量\t出品日\t商品IDタイプ\t商品ID\t在庫数\tフルフィルメント・チャンネル\t\
             merchant-shipping-group\tステータス",
            "shift_jis",
            Ok([2, 4, 9, 7]),
        );
        check(
            "商品名称\t商品编码\t卖家 SKU\t价格\t数量\tASIN1\t商品编码\t等待购买数量\t配送渠道",
            "utf-8",
            Ok([2, 4, 8, 5]),
        );
        check(
            "item-name (ürün adı)\tseller-sku (satıcı sku)\tquantity (adet)\tasin1\tfulfillment-channel (dağıtım kanalı)",
            "cp1254",
            Ok([1, 2, 4, 3]),
        );
        check("اسم-المنتج\tsku-البائع\tالكمية\tasin1\tقناة-الشحن", "cp1256", Ok([1, 2, 4, 3]));
    }

    #[test]
    fn a_header_that_is_not_understood_is_refused_with_its_names() {
        check(
            "naam\tverkopers-sku\tquantity\tasin1\tfulfillment-channel",
            "utf-8",
            Err("known as the seller SKU: its header is `naam`, `verkopers-sku`"),
        );
        check("seller-sku\tantal\tasin1\tfulfillment-channel", "utf-8", Err("known as the quantity"));
        check("seller-sku\tquantity\tasin1\tkanal", "utf-8", Err("known as the fulfilment channel"));
        check(
            "seller-sku\tquantity\tMenge\tasin1\tfulfillment-channel",
            "utf-8",
            Err("`quantity` and `Menge` may be the same"),
        );
        check("", "utf-8", Err("its header is ``"));
        check("<?xml version=\"1.0\"?>", "utf-8", Err("known as the seller SKU"));
    }

    #[test]
    fn a_header_that_lost_a_few_characters_is_known_and_one_that_lost_most_is_not() {
        check("sku-sprzedawcy\tilo??\tasin1\tkana?-realizacji", "cp1252", Ok([0, 1, 3, 2]));
        check("H?ndler-SKU\tMenge\tasin1\tVersender", "cp1252", Ok([0, 1, 3, 2]));
        check("???SKU\t??\tasin1\tVersender", "cp1252", Err("known as the seller SKU"));
        check("seller-sku\t??\tasin1\tVersender", "cp1252", Err("known as the quantity"));
    }

    fn table(label: &str) -> Table {
        let header =
            "item-name\tseller-sku\tquantity\tproduct-id-type\tasin1\tproduct-id\tfulfillment-channel";
        Table::of(header.as_bytes(), charset(label)).expect("it is known")
    }

    /// A SKU, its ASIN, who ships it and its quantity.
    type Told<'a> = (&'a str, Option<&'a str>, FulfilledBy, Option<i64>);

    #[track_caller]
    fn check_row(row: &str, want: Result<Told<'_>, &str>) {
        match (table("utf-8").row(row.as_bytes()), want) {
            (Ok(Row::Item(item)), Ok(want)) => {
                let quantity = item.levels.map(|levels| levels.available.units());
                let (sku, asin) = (item.ids.get(IdKind::Sku).expect("a SKU"), item.ids.get(IdKind::Asin));
                assert_eq!((sku, asin, item.by, quantity), want, "{row}");
                assert_eq!(item.unwritable.is_some(), item.by != FulfilledBy::Merchant, "{row}");
            }
            (Err(why), Err(want)) => assert!(why.contains(want), "{why}"),
            (read, _) => panic!("{row}: {read:?}"),
        }
    }

    #[test]
    fn a_row_is_read_and_twins_are_told_apart_by_their_fulfilment_channel() {
        use FulfilledBy::{Channel, Merchant, Unknown};
        let asin = Some("B0XYZ12345");
        check_row(
            "Shirt\tA 1/x\t7\t1\tB0XYZ12345\tB0XYZ12345\tDEFAULT",
            Ok(("A 1/x", asin, Merchant, Some(7))),
        );
        check_row("Shirt\tA-FBA\t\t1\tB0XYZ12345\t\tAMAZON_EU\r", Ok(("A-FBA", asin, Channel, None)));
        check_row("Shirt\tA\t\t1\t\tB0XYZ12345\tDEFAULT", Ok(("A", asin, Merchant, None)));
        check_row("Shirt\tA\t0\t4\t\t4006381333931\tDEFAULT", Ok(("A", None, Merchant, Some(0))));
        check_row("Shirt\tA\t5\t4\t\tB0XYZ12345\tDEFAULT", Ok(("A", None, Merchant, Some(5))));
        check_row("Shirt\tA\t5\t1\tB0XYZ12345\t\t", Ok(("A", asin, Unknown, None)));
        check_row("Shirt\tA\t5\t1\tB0XYZ12345\t\t9c9e0-supply", Ok(("A", asin, Unknown, None)));
        for quantity in ["many", "-3", "1.5", "99999999999999999999"] {
            let row = format!("Shirt\tA\t{quantity}\t1\tB0XYZ12345\t\tDEFAULT");
            check_row(&row, Ok(("A", asin, Unknown, None)));
        }
        check_row("What?\tA\t5\t1\t\t\tDEFAULT", Ok(("A", None, Merchant, Some(5))));
        check_row("a title\twith a tab\tA\t5\t1\t\t\tDEFAULT", Err("it has 8 columns where 7 are named"));
        check_row("the rest of a title", Err("it has 1 columns where 7 are named"));
        check_row("Shirt\t \t5\t1\tB0XYZ12345\t\tDEFAULT", Err("names no SKU"));
        let long = "x".repeat(256);
        check_row(&format!("Shirt\t{long}\t5\t1\tB0XYZ12345\t\tDEFAULT"), Err("at most 255 bytes"));
    }

    #[test]
    fn a_code_that_may_have_lost_characters_is_to_be_read_by_its_asin() {
        let spoilt = |table: &Table, sku: &[u8], asin: &str| {
            let mut row = b"Shirt\t".to_vec();
            row.extend(sku);
            row.extend(format!("\t5\t1\t{asin}\t\tDEFAULT").bytes());
            match table.row(&row) {
                Ok(Row::Spoilt(asin)) => asin,
                Ok(Row::Item(item)) => format!("{:?}", item.ids.get(IdKind::Sku)),
                Err(why) => why,
            }
        };
        assert_eq!(spoilt(&table("cp1252"), b"?-1", "B0XYZ12345"), "B0XYZ12345");
        assert_eq!(spoilt(&table("utf-8"), b"?-1", "B0XYZ12345"), "Some(\"?-1\")");
        assert_eq!(spoilt(&table("utf-8"), b"\xff-1", "B0XYZ12345"), "B0XYZ12345");
        let none = "its SKU `\u{fffd}-1` lost characters, or may have, and it has no ASIN";
        assert_eq!(spoilt(&table("utf-8"), b"\xff-1", ""), none);
        assert_eq!(
            spoilt(&table("cp1252"), b"?-1", ""),
            "its SKU `?-1` lost characters, or may have, and it has no ASIN"
        );
        assert_eq!(spoilt(&table("utf-8"), b"?-1", ""), "Some(\"?-1\")");
        assert_eq!(spoilt(&table("cp1252"), b"\xfc", "B0XYZ12345"), "Some(\"ü\")");
    }

    #[test]
    fn whatever_a_document_holds() {
        let header = "item-name\tseller-sku\tquantity\tASIN 1\tfulfillment-channel";
        let rows =
            ["Shirt\tA-1\t7\tB0XYZ12345\tDEFAULT", "Hut\t箱?\t\tB0XYZ12345\tAMAZON_EU\r", "", "\t\t\t\t"];
        let samples: Vec<&[u8]> = rows.iter().chain([&header]).map(|text| text.as_bytes()).collect();
        let words = ["\t", "?", "\u{fffd}", "DEFAULT", "99999999999999999999", "-1"];
        let known = ["UTF-8", "Cp1252", "Shift_JIS", "gb18030"].map(|label| {
            let bytes = Encoding::for_label(label.as_bytes()).expect("known").encode(header).0.into_owned();
            Table::of(&bytes, charset(label)).expect("it is known")
        });
        crate::fuzz::bytes(bolero::check!(), &samples, &words, |bytes| {
            for table in &known {
                if let Ok(Row::Item(item)) = table.row(bytes) {
                    assert!(item.ids.get(IdKind::Sku).is_some());
                    assert!(item.levels.is_none() || item.by == FulfilledBy::Merchant);
                }
                if let Err(why) = Table::of(bytes, table.charset) {
                    assert!(why.len() < 20_000, "what is told of a header is bounded");
                }
            }
        });
    }

    #[test]
    fn the_encoding_is_the_one_that_is_told_or_else_found_out() {
        let read = |content_type: Option<&str>, marketplace: &str, bytes: &[u8]| {
            Charset::of(content_type, marketplace).text(bytes)
        };
        for (content_type, marketplace, bytes, want) in [
            (Some("text/plain; charset=Cp1252"), "", &b"gr\xfcn \x80"[..], "grün €"),
            (Some("text/plain;charset=ISO-8859-1"), "", b"gr\xfcn", "grün"),
            (Some("text/plain; Charset=\"UTF-8\""), "", "grün 箱".as_bytes(), "grün 箱"),
            (Some("text/plain; charset=Shift_JIS"), "", b"\x94\xa0-1", "箱-1"),
            (Some("text/plain; charset=Cp932"), "", b"\x94\xa0-1", "箱-1"),
            (Some("text/plain; charset=windows-31j"), "", b"\x94\xa0-1", "箱-1"),
            (Some("text/plain; charset=Cp1254"), "", b"\xfe", "ş"),
            (Some("binary/octet-stream"), "", "grün".as_bytes(), "grün"),
            (Some("binary/octet-stream"), "", b"gr\xfcn", "grün"),
            (None, "A1VC38T7YXB528", b"\x94\xa0-1", "箱-1"),
            (Some("text/plain; charset=nonsense"), "", b"gr\xfcn", "grün"),
        ] {
            assert_eq!(read(content_type, marketplace, bytes), want, "{content_type:?}");
        }
        assert!(Charset::of(Some("text/plain; charset=UTF-16LE"), "").is_wide());
        assert!(!Charset::of(Some("text/plain; charset=Shift_JIS"), "").is_wide());
    }
}
