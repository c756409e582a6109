"""What each number means and what is usual, one or two sentences each, and how it is written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True)
class Measure:
    """The words for one measure: ``title``, ``meaning``, what is ``usual``, the ``group`` it is shown in and how it is written."""

    title: str
    group: str
    meaning: str
    usual: str
    kind: Literal["count", "number", "share"] = "number"


GROUPS: Mapping[str, str] = {
    "form": "Rows and columns",
    "spectrum": "How many directions it uses",
    "dimension": "How many dimensions the data have",
    "neighbours": "Neighbours and hubs",
    "balance": "Classes",
    "reading": "What can be read out",
    "collapse": "Have the classes collapsed?",
    "task": "How hard is the task?",
    "pairs": "Do they agree?",
    "sets": "Can layers be told across models?",
}

MEASURES: Mapping[str, Measure] = {
    "rows": Measure("rows", "form", "Examples in the file.", "", "count"),
    "columns": Measure("columns", "form", "Numbers per example.", "", "count"),
    "constant_columns": Measure(
        "constant columns", "form", "Columns with the same value in every row; they carry nothing.",
        "0. More are dead units (ReLU) or padding, and can be dropped.", "count",
    ),
    "duplicate_rows": Measure(
        "repeated rows", "form", "Rows that are, bit for bit, equal to an earlier one.",
        "0. Copies make neighbours look near and held-out rows look easy.", "count",
    ),
    "zero_rows": Measure(
        "rows of zeros", "form", "Rows without any value; they have no direction, so no cosine.", "0.", "count",
    ),
    "mean_cosine": Measure(
        "mean cosine", "form", "Mean cosine between two different rows: 0 where directions are spread evenly, 1 where all "
        "rows point the same way.",
        "Often far above 0: networks leave a common direction in all rows. Subtracting the mean removes it, and helps "
        "retrieval by cosine.",
    ),
    "participation_ratio": Measure(
        "participation ratio", "spectrum", "How many principal directions the variance is spread over, counting large ones "
        "more; from 1 to the number of columns.",
        "Much less than the columns in trained networks; about the columns for noise.",
    ),
    "effective_rank": Measure(
        "effective rank", "spectrum", "The same question, weighing small directions more: the exponential of the entropy of "
        "the shares of variance.",
        "Somewhat above the participation ratio. A value near 1 is a collapsed representation.",
    ),
    "dimensions_90": Measure(
        "directions for 90 %", "spectrum", "Principal directions that together hold 90 % of the variance.",
        "To this many columns principal components shrink it with a tenth of the variance lost.", "count",
    ),
    "dimensions_99": Measure(
        "directions for 99 %", "spectrum", "Principal directions that together hold 99 % of the variance.",
        "Far more than for 90 %; where it equals the columns, no column is redundant.", "count",
    ),
    "largest_share": Measure(
        "largest direction", "spectrum", "The share of the variance that lies along one single direction.",
        "Below 30 %. Above, one direction (often one huge column) rules all distances: look at it, or standardise.",
        "share",
    ),
    "dimension_mle": Measure(
        "intrinsic dimension (MLE)", "dimension", "Dimension of the surface that the rows lie near, from how distances to the "
        "nearest neighbours grow (Levina & Bickel, 2004).",
        "Far below the columns: about 13 for the pixels of MNIST, 26 for CIFAR-10, 43 for ImageNet (Pope et al., 2021). The "
        "lower, the fewer examples a task needs. More rows raise it a little.",
    ),
    "dimension_twonn": Measure(
        "intrinsic dimension (TwoNN)", "dimension", "The same from the ratio of the distances to the two nearest neighbours "
        "alone, so at the finest scale (Facco et al., 2017).",
        "Near the estimate above. Much higher where noise fills the finest scale, much lower where rows are nearly copies.",
    ),
    "dimension_by_class": Measure(
        "dimension within classes", "dimension", "Median over classes of the intrinsic dimension (MLE) of the rows of one class.",
        "Lower than that of all rows together; classes that need more dimensions vary more.",
    ),
    "hub_skewness": Measure(
        "skewness of neighbour counts", "neighbours", "How unevenly rows turn up among the 10 nearest neighbours of others: 0 "
        "where all turn up alike.",
        "0 to 2. Above, a few rows (hubs) turn up in very many searches; centring or fewer columns help.",
    ),
    "orphans": Measure(
        "rows never found", "neighbours", "Share of rows that are among the 10 nearest neighbours of no other row: a search "
        "does not find them.",
        "Near 0 % in few dimensions; tens of percent where there are hubs.", "share",
    ),
    "largest_hub": Measure(
        "greatest hub", "neighbours", "Share of all rows that have the same one row among their 10 nearest neighbours.",
        "Below 2 % with thousands of rows.", "share",
    ),
    "classes": Measure("classes", "balance", "Different labels.", "", "count"),
    "smallest_class": Measure("rows of the smallest class", "balance", "Rows with the rarest label.",
        "At least 30 where a number by class should mean something.", "count"),
    "largest_class": Measure(
        "share of the largest class", "balance", "Accuracy of always guessing the most frequent label: the level that any "
        "classifier must beat.",
        "1 / classes where the classes are balanced.", "share",
    ),
    "balance": Measure(
        "balance", "balance", "Entropy of the labels over that of equally many rows of each: 1 where balanced.",
        "Near 1 in benchmark data. Below 0.8 accuracy mostly tells of the large classes.",
    ),
    "linear_probe": Measure(
        "linear probe", "reading", "Accuracy of a linear classifier on rows it was not fitted to (logistic regression, five "
        "folds).",
        "Compare with the share of the largest class (guessing). Near the network's own accuracy in its last layers.",
        "share",
    ),
    "knn_accuracy": Measure(
        "10 nearest neighbours", "reading", "Accuracy of the vote of the 10 nearest other rows by cosine, nothing fitted.",
        "Within a few percent of the linear probe, on either side. Far above it where classes form several clumps or the "
        "probe has few rows; far below where a few directions of many matter.",
        "share",
    ),
    "label_sharpness": Measure(
        "label sharpness", "reading", "One over the distance between the two closest rows with different labels, among 1,000 "
        "rows (Konz & Mazurowski, 2024).",
        "Depends on the scale of the columns: compare only data of one scale and number of rows. The higher, the smaller the "
        "change that can turn one class into another.",
    ),
    "cdnv": Measure(
        "NC1: class-distance normalized variance", "collapse", "Width of the classes over the squared distance between them, "
        "averaged over pairs of classes: 0 where every class is a point.",
        "About 1 or more in pixels and early layers, 0.05 to 0.3 in the last layer of a well-trained network, near 0 when it "
        "was trained far beyond zero error.",
    ),
    "nc1": Measure(
        "NC1: within over between", "collapse", "Covariance within classes measured by that between them, "
        "tr(W pinv(B)) / classes (Papyan et al., 2020).",
        "Falls by orders of magnitude towards 0 as training goes on. Directions in which class means do not differ are left out.",
    ),
    "norms_cv": Measure(
        "NC2: unequal lengths", "collapse", "Coefficient of variation of the lengths of the centred class means: 0 where all "
        "are equally long.",
        "0.1 to 0.4 after ordinary training; falls towards 0.",
    ),
    "etf_error": Measure(
        "NC2: distance from a simplex", "collapse", "How far the class means are from equally long and equally far apart (a "
        "simplex equiangular tight frame): 0 to 2 or so.",
        "0.3 to 0.8 after ordinary training; 0 when collapsed. It can not reach 0 where there are more classes than columns + 1.",
    ),
    "interference": Measure(
        "NC2: mean cosine of class means", "collapse", "Mean cosine between the centred means of two classes.",
        "-1 / (classes - 1) for a simplex, which is its lower end for equally long means.",
    ),
    "dual_cosine": Measure(
        "NC3: classifier along class means", "collapse", "Mean cosine between the classifier's row for a class and the centred "
        "mean of that class.",
        "0.5 to 0.9 after ordinary training, 1 when collapsed, about 0 before training.",
    ),
    "ncc_agreement": Measure(
        "NC4: decides by the nearest mean", "collapse", "Share of rows on which the classifier and the nearest class mean "
        "choose the same class.",
        "Above 90 % in the last layer of a trained network, 100 % when collapsed. A little too high, since the means come "
        "from the same rows.",
        "share",
    ),
    "difficulty": Measure(
        "inductive bias needed (log2 of bits)", "task", "Logarithm of the bits of inductive bias that a learner needs to reach "
        "an error of 1 % on this task, taking the rows as its inputs (Boopathy et al., 2023).",
        "About 25 to 45 for digits and sentences. It says which of two representations of one task is easier, not how "
        "good a learner is.",
    ),
    "linear_cka": Measure(
        "linear CKA", "pairs", "Similarity of the two sets of distances between rows, up to rotation and scale: 0 to 1.",
        "0.8 to 1 for two trainings of one architecture on the same data. Compare with chance, which is high where there are "
        "few rows.",
    ),
    "cca": Measure(
        "CCA (mean squared correlation)", "pairs", "How well the directions of the smaller one are linear functions of the "
        "other, each direction counting alike: 0 to 1.",
        "Lower than CKA where many small directions are noise. Close to chance where columns are not few beside rows.",
    ),
    "procrustes": Measure(
        "Procrustes distance", "pairs", "Distance left after the best rotation and scaling of one onto the other: 0 (equal) to "
        "1.41.",
        "0.2 to 0.6 for two trainings of one architecture; near chance for unrelated ones.",
    ),
    "rsa": Measure(
        "RSA (Spearman)", "pairs", "Rank correlation of the distances between all pairs of rows: do they agree on what is near and "
        "what is far?",
        "0.6 to 0.95 for two trainings of one architecture; about 0 for unrelated ones.",
    ),
    "rsa_topology": Measure(
        "RSA of neighbourhoods", "pairs", "The same after small and large distances were levelled (geo-topological transform, "
        "l = 0, u = 0.3): do they agree on who is near?",
        "Above RSA where the two agree on neighbours but not on far distances.",
    ),
    "matching_greedy": Measure(
        "unit match, best partner", "pairs", "Mean, over the units (columns) of the first, of the highest correlation with any unit of the "
        "second.",
        "0.4 to 0.8 between two trainings of one architecture (Li et al., 2016: 0.70 in the first layer, 0.37 in the fourth).",
    ),
    "matching_one_to_one": Measure(
        "unit match, one to one", "pairs", "The same where no unit may be used twice: could the columns be the same up to "
        "order?",
        "A little below the best partner. Near 1 only where one is a permutation of the other: rotations hide units.",
    ),
    "neighbours_shared": Measure(
        "shared neighbours", "pairs", "Overlap (Jaccard) of an example's 10 nearest neighbours in both, after both were written as "
        "cosines to the same random anchors (relative representations).",
        "0.2 to 0.6 for two trainings of one architecture; above 0.5 one space can serve in place of the other.",
    ),
    "retrieval": Measure(
        "found across spaces", "pairs", "Mean reciprocal rank at which an example of one finds itself in the other, relative to "
        "random anchors: 1 where always first.",
        "0.3 to 0.9 for two trainings of one architecture with a few hundred anchors; fewer rows make it easier.",
    ),
    "relative_similarity": Measure(
        "relative similarity", "pairs", "Mean cosine of an example's relative representations in both (anchors centred): -1 to 1.",
        "0.7 to 1 for two trainings of one architecture, about 0 for unrelated ones.",
    ),
    "identification": Measure(
        "layers told, by ranks", "sets", "Share of layers that are recognised by their rank-ordered distances from the same layer of the "
        "other models.",
        "By chance 1 / layers. 100 % for networks of one kind.", "share",
    ),
    "identification_best": Measure(
        "layers told, best window", "sets", "The same with the best of the geo-topological windows (l, u). The best of many "
        "is a little lucky.",
        "At or above that by ranks: distances can be levelled without losing what tells layers apart.", "share",
    ),
}  # fmt: skip


def written(number: Mapping[str, Any] | None, key: str = "value") -> str:
    """Write a number as its kind is written; a dash where there is none.

    >>> written({"measure": "linear_probe", "value": 0.9571}).replace(chr(160), " "), written({"measure": "rows", "value": 12000.0})
    ('95.7 %', '12,000')
    """
    if number is None or number.get(key) is None:
        return "\N{EN DASH}"
    value = number[key]
    kind = MEASURES[number["measure"]].kind
    if kind == "share":
        return f"{100 * value:.1f}\N{NO-BREAK SPACE}%"
    if kind == "count":
        return f"{round(value):,}"
    size = abs(value)
    if size >= 1e6 or 0 < size < 0.0005:
        text = f"{value:.1e}"
    else:
        digits = 0 if size >= 100 else 1 if size >= 10 else 2 if size >= 1 else 3
        text = f"{value:,.{digits}f}"
    return text.replace("-", "\N{MINUS SIGN}")
