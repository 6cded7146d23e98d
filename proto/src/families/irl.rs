//! Reviews against reality (I): what was decided, what was expected of it, and what came of it.

use crate::operation::{NO_TWINS, Status, TEXT_TWINS};

crate::params! {
    /// A review, or an event of one.
    NewReviewEvent {
        /// The review that this belongs to, or an unambiguous start of its id. I2 to I4 need it; without it, I1 begins
        /// a review of its own.
        review_id: Option<String>,
        /// Summary in one or two sentences, at most 80 words.
        summary: Option<String>,
        /// Body, at most 1,000 words.
        body: Option<String>,
        /// What was decided, in a few words.
        decision: Option<String>,
        /// Title, which stands for the decision when there is none.
        title: Option<String>,
        /// Status; recorded by default.
        status: Option<String>,
        /// Mark the event as a test record.
        test: bool,
    }

    /// Which review to report on.
    ReviewWanted {
        /// The review, or an unambiguous start of its id.
        review_id: Option<String>,
        /// The same as --review-id.
        id: Option<String>,
        /// Form of the file: md (default) or json.
        format: Option<String>,
        /// Report on test records too.
        include_test: bool,
        /// Mark the report itself as a test record.
        test: bool,
    }
}

crate::outputs! {
    /// An event of a review was recorded.
    ReviewEventStored {
        /// OK.
        status: Status,
        /// Id of the event.
        id: String,
        /// The review.
        review_id: String,
        /// review, prediction, user_correction or observed_outcome.
        event_type: String,
    }

    /// A report on a review was written.
    ReviewReported {
        /// OK.
        status: Status,
        /// The review.
        review_id: String,
        /// The file, under the project's root.
        path: String,
        /// How many events it lists.
        rows: usize,
        /// SHA-256 of the file.
        sha256: String,
        /// Id of the report.
        report_id: String,
    }
}

crate::operations! {
    /// Begin a review of a decision against reality
    I1 "irl-create" "irl.create" Write IrlCreate(NewReviewEvent) -> ReviewEventStored,
        twins: TEXT_TWINS, keywords: "decision review real life bet",
        example: "kaizenctl I1 --decision \"one writer thread\" --summary \"Writes go through one thread.\" --json";
    /// Record what is expected of a decision
    I2 "irl-prediction-add" "irl.prediction_add" Write IrlPredictionAdd(NewReviewEvent) -> ReviewEventStored,
        twins: TEXT_TWINS, keywords: "predict expect forecast bet",
        example: "kaizenctl I2 --review-id REVIEW_ID --summary \"A write takes less than 5 ms.\" --json";
    /// Record how the user corrected a decision
    I3 "irl-correction-add" "irl.correction_add" Write IrlCorrectionAdd(NewReviewEvent) -> ReviewEventStored,
        twins: TEXT_TWINS, keywords: "user feedback correct disagree",
        example: "kaizenctl I3 --review-id REVIEW_ID --summary \"Reads must not wait for writes.\" --json";
    /// Record what came of a decision
    I4 "irl-outcome-add" "irl.outcome_add" Write IrlOutcomeAdd(NewReviewEvent) -> ReviewEventStored,
        twins: TEXT_TWINS, keywords: "observe result happened actual",
        example: "kaizenctl I4 --review-id REVIEW_ID --summary \"A write took 3 ms.\" --json";
    /// Write a report on a review: what was expected, what came
    I5 "irl-report" "irl.report" Write IrlReport(ReviewWanted) -> ReviewReported,
        twins: NO_TWINS, keywords: "decision review document markdown file",
        example: "kaizenctl I5 --review-id REVIEW_ID --json";
}
