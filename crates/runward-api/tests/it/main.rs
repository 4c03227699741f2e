//! What the API says of itself, reviewed.

#[test]
fn the_description_is_what_was_reviewed() {
    insta::assert_json_snapshot!(runward_api::openapi());
}
