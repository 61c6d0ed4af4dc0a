// Orders and what they cost.
#include <map>
#include <string>
#include <vector>

namespace orders {

using Id = std::string;

constexpr int kLimit = 100;

/// One line of an order.
struct Line {
  std::string name;
  long cents = 0;
};

/// Many things, one owner.
template <typename T>
class Basket : public Base<T> {
 public:
  Basket() = default;

  /// Appends a thing.
  bool add(T thing) {
    auto total = things_.size();
    if (total >= kLimit) {
      return false;
    }
    things_.push_back(std::move(thing));
    this->changed();
    return true;
  }

  [[nodiscard]] std::map<Id, T> by_id() const {
    std::map<Id, T> total;
    for (const auto& thing : things_) {
      total[thing.id()] = thing;
    }
    if (total.empty()) {
      this->warn();
    }
    return total;
  }

 private:
  std::vector<T> things_;
};

enum class State { kOpen, kPaid };

double Order::gross(double rate) const {
  double total = 0;
  for (const auto& line : lines_) {
    total += line.cents * (1 + rate);
  }
  switch (state_) {
    case State::kOpen:
      return total;
    default:
      return 0;
  }
}

}  // namespace orders

int main(int argc, char** argv) {
  orders::Basket<orders::Order> total;
  for (int i = 1; i < argc; ++i) {
    total.add(orders::Order(argv[i]));
  }
  return total.by_id().empty() ? 1 : 0;
}
