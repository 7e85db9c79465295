fn main() {
    let t = std::thread::spawn(|| println!("hi {:?}", std::fs::metadata("/").unwrap().len()));
    t.join().unwrap();
}
