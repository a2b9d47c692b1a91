//! Between what commands reply and what scripts hold: RESP and Lua's values.
//!
//! ```text
//! RESP                  Lua                                  back as
//! +text                 {ok = text}                          +text
//! -text                 {err = text}                         -text
//! :number               number                               :number, cut at the point
//! $text                 text                                 $text
//! *values               table, from 1 on                     *values, up to the first nil
//! nothing in RESP2      false                                nothing
//! nothing in RESP3      nil                                  nothing
//! #t, #f                true, false                          :1, nothing; #t, #f in RESP3
//! ,number               {double = number}                    ,number
//! %pairs                {map = {key = value, ...}}           %pairs
//! ~values               {set = {value = true, ...}}          ~values
//! (number               {big_number = text}                  (number
//! =format:text          {verbatim_string =                   =format:text
//!                         {format = text, string = text}}
//! ```

mod read;
mod write;

pub(crate) use read::push_reply;
pub(crate) use write::{Speech, write_value};
