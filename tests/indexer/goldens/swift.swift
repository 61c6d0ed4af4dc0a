import Foundation

let limit = 100

/// One line of an order.
struct Line: Codable {
    let name: String
    let cents: Int
}

enum Refused: Error {
    case closed
    case full(Int)
}

protocol Priced {
    var total: Int { get }
}

/// Many lines, one customer.
@objc
final class Order: NSObject, Priced {
    private(set) var lines: [Line] = []
    var isOpen = true

    init(lines: [Line] = []) {
        self.lines = lines
        super.init()
    }

    /// Appends a line.
    @discardableResult
    func add(_ line: Line) throws -> Int {
        guard isOpen else {
            throw Refused.closed
        }
        let total = lines.count
        if total >= limit {
            throw Refused.full(limit)
        }
        lines.append(line)
        return total + 1
    }

    var total: Int {
        var total = 0
        for line in lines {
            total += line.cents
        }
        if total < 0 {
            assertionFailure("negative")
        }
        return total
    }
}

extension Order {
    func report() -> [String] {
        var rows = lines.map(\.name)
        let total = String(self.total)
        rows.append(total)
        rows.append("end")
        if rows.isEmpty {
            rows.append("nothing")
        }
        return rows
    }
}
