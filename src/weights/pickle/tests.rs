//! The machine on hand-made pickles, and on anything at all.

use std::path::Path;

use proptest::prelude::*;

use super::*;

fn read(bytes: &[u8]) -> Result<Pickle<'_>> {
    Pickle::read(Path::new("x.pkl"), bytes)
}

fn message(bytes: &[u8]) -> String {
    read(bytes).unwrap_err().to_string()
}

#[test]
fn containers_and_numbers() {
    // {'a': [1, -2, 300, 70000, 2.5, True], 'b': (None, 'é')} with a memoised key.
    let mut bytes =
        b"\x80\x04\x95\0\0\0\0\0\0\0\0}\x94(\x8c\x01a\x94](K\x01J\xfe\xff\xff\xffM\x2c\x01\x8a\x03\x70\x11\x01G"
            .to_vec();
    bytes.extend(2.5f64.to_be_bytes());
    bytes.extend(b"\x88eX\x01\0\0\0bNX\x02\0\0\0\xc3\xa9\x86u.");
    let pickle = read(&bytes).unwrap();
    let root = pickle.root();
    let list: Vec<_> = root.get("a").unwrap().items().unwrap().map(|x| x.as_f32().unwrap()).collect();
    assert_eq!(list, [1.0, -2.0, 300.0, 70_000.0, 2.5, 1.0]);
    let pair: Vec<_> = root.get("b").unwrap().items().unwrap().collect();
    assert_eq!((pair[0].kind(), pair[1].as_str()), ("None", Some("é")));
    assert!(root.get("c").is_none() && root.as_array().is_none());
}

#[test]
fn a_list_inside_itself_is_no_trouble() {
    let pickle = read(b"\x80\x02]q\0h\0a.").unwrap();
    let inner = pickle.root().items().unwrap().next().unwrap();
    assert_eq!(inner.items().unwrap().len(), 1);
}

#[test]
fn every_other_name_is_refused_by_name() {
    assert!(message(b"\x80\x02cos\nsystem\n.").contains("'os.system'"));
    assert!(message(b"\x80\x02cnumpy\nload\n.").contains("'numpy.load'"));
    assert!(message(b"\x80\x02ctorch\nload\n.").contains("'torch.load'"));
    assert!(message(b"\x80\x04\x8c\x08builtins\x8c\x04exec\x93.").contains("'builtins.exec'"));
    // A name of the list is no licence for its attributes.
    assert!(message(b"\x80\x04\x8c\x05numpy\x8c\x0edtype.__init__\x93.").contains("'numpy.dtype.__init__'"));
    assert!(message(b"\x80\x02\x82\x01.").contains("refused"));
}

#[test]
fn what_is_no_binary_pickle_says_so() {
    assert!(message(b"(dp0\n.").contains("protocol"));
    assert!(message(b"").contains("protocol"));
    assert!(message(b"\x80\x09.").contains("protocol"));
    assert!(message(b"\x80\x02I1\n.").contains("protocol 0"));
    for cut in [&b"\x80\x02"[..], b"\x80\x02X\xff\xff\xff\xffab.", b"\x80\x02.", b"\x80\x02h\x07.", b"\x80\x02(0."] {
        assert!(message(cut).contains("damaged"), "{cut:?}");
    }
}

#[test]
fn copies_are_bounded_by_the_file() {
    // A text of 1 000 letters, encoded again and again: each turn costs 10 bytes of the file.
    let mut bytes = b"\x80\x02c_codecs\nencode\nq\0X\xe8\x03\0\0".to_vec();
    bytes.extend([b'a'; 1000]);
    bytes.extend(b"q\x01X\x06\0\0\0latin1q\x02");
    let single = [bytes.as_slice(), b"h\0h\x01h\x02\x86R."].concat();
    assert!(read(&single).is_ok());
    for _ in 0..1000 {
        bytes.extend(b"h\0h\x01h\x02\x86R");
    }
    bytes.extend(b".");
    assert!(message(&bytes).contains("again and again"));
}

#[test]
fn a_tensor_beyond_its_storage_is_none() {
    let tensor = |offset: u8, size: u8, stride: u8| {
        let mut bytes =
            b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n((X\x07\0\0\0storagectorch\nFloatStorage\n".to_vec();
        bytes.extend(b"X\x01\0\0\x000X\x03\0\0\0cpuK\x04tQ");
        bytes.extend([b'K', offset, b'K', size, 0x85, b'K', stride, 0x85, 0x89, b')', b't', b'R', b'.']);
        bytes
    };
    for (offset, size, stride, inside) in
        [(0, 4, 1, true), (1, 4, 1, false), (0, 2, 3, true), (0, 2, 4, false), (0, 200, 0, false), (9, 0, 1, true)]
    {
        let bytes = tensor(offset, size, stride);
        assert_eq!(read(&bytes).unwrap().root().as_tensor().is_some(), inside, "{offset} {size} {stride}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn no_program_makes_it_panic(program in proptest::collection::vec(opcode(), 0..60)) {
        let mut bytes = b"\x80\x04".to_vec();
        bytes.extend(program.concat());
        bytes.push(b'.');
        if let Ok(pickle) = read(&bytes) {
            let root = pickle.root();
            let _ = (root.as_array(), root.as_tensor(), root.as_f32(), root.get("a").is_some());
            prop_assert!(pickle.nodes.len() <= bytes.len());
        }
    }
}

/// Opcodes with plausible arguments, so that programs get somewhere, and now and then any bytes.
fn opcode() -> impl Strategy<Value = Vec<u8>> {
    let plain = proptest::sample::select(b"(012NR)]}tbaseludQlK\x81\x85\x86\x87\x88\x89\x8f\x90\x91\x93\x94".to_vec());
    let names: Vec<&[u8]> = vec![
        b"cnumpy\ndtype\n",
        b"cnumpy\nndarray\n",
        b"cnumpy.core.multiarray\n_reconstruct\n",
        b"cnumpy.core.multiarray\nscalar\n",
        b"cnumpy._core.numeric\n_frombuffer\n",
        b"ccollections\nOrderedDict\n",
        b"ctorch._utils\n_rebuild_tensor_v2\n",
        b"ctorch\nFloatStorage\n",
        b"c_codecs\nencode\n",
        b"\x8c\x02f4",
        b"\x8c\x06latin1",
        b"\x8c\x07storage",
        b"C\x04abcd",
    ];
    prop_oneof![
        4 => plain.prop_map(|op| vec![op]),
        2 => proptest::sample::select(names).prop_map(<[u8]>::to_vec),
        2 => any::<u8>().prop_map(|n| vec![b'K', n]),
        1 => (0u8..6).prop_map(|n| vec![b'q', n]),
        1 => (0u8..6).prop_map(|n| vec![b'h', n]),
        1 => proptest::collection::vec(any::<u8>(), 0..6),
    ]
}
