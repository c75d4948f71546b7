//! The operations and their documented usage plans.

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Operation {
    SearchOrders,
    GetOrder,
    PatchListingsItem,
    GetListingsItem,
    SearchListingsItems,
    GetInventorySummaries,
    GetDestinations,
    CreateDestination,
    GetSubscription,
    CreateSubscription,
    CreateReport,
    GetReports,
    GetReport,
    CancelReport,
    GetReportDocument,
    CreateFeedDocument,
    CreateFeed,
    GetFeeds,
    GetFeed,
    CancelFeed,
    GetFeedDocument,
}

impl Operation {
    pub(super) const ALL: [Operation; 21] = [
        Operation::SearchOrders,
        Operation::GetOrder,
        Operation::PatchListingsItem,
        Operation::GetListingsItem,
        Operation::SearchListingsItems,
        Operation::GetInventorySummaries,
        Operation::GetDestinations,
        Operation::CreateDestination,
        Operation::GetSubscription,
        Operation::CreateSubscription,
        Operation::CreateReport,
        Operation::GetReports,
        Operation::GetReport,
        Operation::CancelReport,
        Operation::GetReportDocument,
        Operation::CreateFeedDocument,
        Operation::CreateFeed,
        Operation::GetFeeds,
        Operation::GetFeed,
        Operation::CancelFeed,
        Operation::GetFeedDocument,
    ];

    /// Requests per second, and burst.
    pub(super) fn plan(self) -> (f64, f64) {
        match self {
            Operation::SearchOrders => (0.0056, 20.0),
            Operation::GetOrder => (0.5, 30.0),
            Operation::PatchListingsItem => (5.0, 5.0),
            Operation::GetListingsItem => (5.0, 10.0),
            Operation::SearchListingsItems => (5.0, 5.0),
            Operation::GetInventorySummaries => (2.0, 2.0),
            Operation::GetDestinations
            | Operation::CreateDestination
            | Operation::GetSubscription
            | Operation::CreateSubscription => (1.0, 5.0),
            Operation::CreateReport | Operation::GetReportDocument => (0.0167, 15.0),
            Operation::GetReports | Operation::CancelReport => (0.0222, 10.0),
            Operation::GetReport | Operation::GetFeed | Operation::CancelFeed => (2.0, 15.0),
            Operation::CreateFeedDocument => (0.5, 15.0),
            Operation::CreateFeed => (0.0083, 15.0),
            Operation::GetFeeds | Operation::GetFeedDocument => (0.0222, 10.0),
        }
    }
}
