//! Lists.

use super::{Fault, Source, item};
use crate::value::{List, Side};
use pinion_rdb::kind;
use pinion_rdb::old::Ziplist;

impl Source<'_, '_> {
    pub(super) fn list(&mut self, number: u8) -> Result<List, Fault> {
        let mut list = List::default();
        if number == kind::LIST_ZIPLIST {
            return self.old_list();
        }
        for _ in 0..self.reader.count(1)? {
            match number {
                kind::LIST => self.element(&mut list)?,
                kind::LIST_QUICKLIST => {
                    let elements = self.ziplist(1)?;
                    if !elements.is_empty() {
                        list.push_packed(self.rules, elements);
                    }
                }
                _ => self.node(&mut list)?,
            }
        }
        Ok(list)
    }

    fn element(&mut self, list: &mut List) -> Result<(), Fault> {
        let rules = self.rules;
        self.with_text(|text| {
            list.push(rules, Side::Right, std::iter::once(text));
            Ok(())
        })
    }

    /// A list in one old list. As Redis it stays in the long form, however short it is.
    fn old_list(&mut self) -> Result<List, Fault> {
        let mut list = List::long();
        let mut entries = Ziplist::new(self.reader.text(&mut self.decoder.room)?)?;
        let mut digits = itoa::Buffer::new();
        while let Some(entry) = entries.next()? {
            let text = item(entry).text(&mut digits);
            list.push(self.rules, Side::Right, std::iter::once(text));
        }
        Ok(list)
    }

    /// A node of the newer form. One without elements is left out.
    fn node(&mut self, list: &mut List) -> Result<(), Fault> {
        match self.reader.length()? {
            kind::NODE_PLAIN => {
                let rules = self.rules;
                self.with_text(|text| {
                    if text.is_empty() {
                        return Err(Fault::Quicklist);
                    }
                    list.push(rules, Side::Right, std::iter::once(text));
                    Ok(())
                })
            }
            kind::NODE_PACKED => match self.packed(1) {
                Ok(elements) => {
                    list.push_packed(self.rules, elements);
                    Ok(())
                }
                Err(Fault::Empty) => Ok(()),
                Err(fault) => Err(fault),
            },
            _ => Err(Fault::Quicklist),
        }
    }
}
