/// Runs every candidate once a round, and begins each round with another one, so that what drifts or depends on the
/// order falls on all of them alike. The first round warms caches and is thrown away. Answers the results of each
/// candidate, in the order of the rounds.
pub(super) fn rounds<C, R>(
    candidates: &[C],
    count: usize,
    mut run: impl FnMut(usize, &C) -> anyhow::Result<R>,
) -> anyhow::Result<Vec<Vec<R>>> {
    for candidate in candidates {
        run(0, candidate)?;
    }
    let mut results: Vec<Vec<R>> = candidates.iter().map(|_| Vec::new()).collect();
    for round in 1..=count {
        let mut both: Vec<_> = candidates.iter().zip(&mut results).collect();
        let first = round % candidates.len().max(1);
        both.rotate_left(first);
        for (candidate, results) in both {
            results.push(run(round, candidate)?);
        }
    }
    Ok(results)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_candidate_runs_once_a_round_and_each_leads() {
        let mut order = Vec::new();
        let results = rounds(&["a", "b"], 2, |round, name| {
            order.push(format!("{name}{round}"));
            Ok(round)
        });
        assert_eq!(results.unwrap(), [[1, 2], [1, 2]]);
        assert_eq!(order, ["a0", "b0", "b1", "a1", "a2", "b2"]);
    }
}
