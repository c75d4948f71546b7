use super::*;

#[test]
fn a_new_world_comes_to_rest_with_everything_shown() {
    let world = World::open(&[("A", 10), ("B", 0)]);
    for (of, units) in [("A", 10), ("B", 0)] {
        assert_eq!((world.shows(of, "shop"), world.shows(of, "amz")), (units, units));
        assert_eq!(world.available(of), units);
    }
    world.index_is_true();
}
