package example.orders

import scala.collection.mutable
import scala.util.{Failure, Success, Try}

/** One line of an order. */
case class Line(name: String, cents: Long)

sealed trait State
case object Open extends State
case object Paid extends State

/** Many lines, one customer. */
class Order(id: String) extends Ordered[Order] {
  private val lines = mutable.Buffer.empty[Line]
  private var state: State = Open

  def add(line: Line): Try[Int] = {
    val total = lines.size
    state match {
      case Paid => Failure(new IllegalStateException("paid"))
      case Open if total >= Order.Limit => Failure(new IllegalStateException("full"))
      case Open =>
        lines += line
        Success(total + 1)
    }
  }

  def total: Long = {
    var total = 0L
    for (line <- lines) {
      total += line.cents
    }
    if (total < 0) {
      throw new ArithmeticException("negative")
    }
    total
  }

  override def compare(that: Order): Int = total.compare(that.total)
}

object Order {
  val Limit = 100

  def apply(lines: Line*): Order = {
    val order = new Order("new")
    lines.foreach(order.add)
    order
  }
}
