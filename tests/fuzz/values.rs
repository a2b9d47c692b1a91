//! Values of every type and encoding.

use pinion_shards::Millis;
use pinion_shards::value::stream::{Group, NewId, Pending};
use pinion_shards::value::{Hash, Kind as _, List, Object, Rules, Set, Side, SortedSet, Stream};

/// The instant at which they are made.
pub(crate) const NOW: Millis = 1_700_000_000_000;

/// Rules with how many elements then make values of the small forms, and of the large ones.
pub(crate) fn both_sizes() -> [(Rules, u64); 2] {
    let mut small = Rules::new(5);
    small.encodings.hash_max_listpack_entries = 4;
    small.encodings.set_max_listpack_entries = 4;
    small.encodings.set_max_intset_entries = 4;
    small.encodings.zset_max_listpack_entries = 4;
    small.encodings.list_max_listpack_size = 3;
    small.encodings.stream_node_max_entries = 3;
    [(Rules::new(5), 6), (small, 12)]
}

/// A value of every type and encoding.
pub(crate) fn values(rules: &Rules, count: u64) -> Vec<Object> {
    let (mut list, mut set, mut ints) = (List::default(), Set::default(), Set::default());
    let (mut hash, mut timed) = (Hash::default(), Hash::default());
    let (mut sorted, mut stream) = (SortedSet::default(), Stream::default());
    for number in 0..count {
        let name = format!("n{}", number.wrapping_mul(77) % 1000).into_bytes();
        list.push(rules, Side::Right, [&name[..], b"17"].into_iter());
        set.add(rules, &name);
        ints.add(rules, (number * number).to_string().as_bytes());
        hash.set(rules, NOW, (&name, b"170"), false);
        timed.set(rules, NOW, (&name, b"v"), false);
        timed.set_expiry(rules, NOW, &name, (number % 2 == 0).then_some(NOW + number * 100));
        sorted.put(&name, number as f64 / 4.0 - 3.0, rules);
        let fields = [&b"f"[..], &name].into_iter();
        stream.log.push(NewId::Auto, NOW, fields, rules).expect("ids grow");
    }
    let mut group = Group::new(stream.log.first(), None);
    let (consumer, _) = group.number_or_new(b"consumer", NOW);
    group.deliver(stream.log.first(), Pending { delivered: NOW, count: 1, consumer });
    stream.groups.add(b"group", group);
    vec![
        Object::Str(b"abcabcabc".repeat(count as usize)),
        list.into_object(),
        set.into_object(),
        ints.into_object(),
        hash.into_object(),
        timed.into_object(),
        sorted.into_object(),
        stream.into_object(),
    ]
}
