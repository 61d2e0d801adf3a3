"""What can go wrong with segments and score rules."""

from __future__ import annotations

from app.core.problems import Conflict, Invalid, NotFound


class SegmentNotFound(NotFound):
    code = "segment-not-found"
    title = "There is no such segment."


class SegmentNameTaken(Conflict):
    code = "segment-name-taken"
    title = "There is a segment of this name: choose another one."


class ScoreRuleNotFound(NotFound):
    code = "score-rule-not-found"
    title = "There is no such score rule."


class ScoreRuleNameTaken(Conflict):
    code = "score-rule-name-taken"
    title = "There is a score rule of this name: choose another one."


class ScoreRuleCircular(Invalid):
    code = "score-rule-circular"
    title = "A score rule cannot ask for the score: it is what the rules make."
