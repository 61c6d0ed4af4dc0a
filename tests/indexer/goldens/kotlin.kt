package org.example.orders

import kotlin.math.max
import java.time.Instant

typealias Id = String

const val LIMIT = 100

/** One line of an order. */
data class Line(val name: String, val cents: Long)

sealed interface State {
    object Open : State
    data class Paid(val at: Instant) : State
}

/** Many lines, one customer. */
@Serializable
class Order(private val id: Id) : Comparable<Order> {
    private val lines = mutableListOf<Line>()
    var state: State = State.Open
        private set

    fun add(line: Line): Order {
        val total = lines.size
        if (total >= LIMIT) {
            throw IllegalStateException("full")
        }
        when (state) {
            is State.Open -> lines.add(line)
            is State.Paid -> error("paid")
        }
        return this
    }

    override fun compareTo(other: Order): Int {
        val total = sum()
        val others = other.sum()
        return when {
            total < others -> -1
            total > others -> 1
            else -> id.compareTo(other.id)
        }
    }

    fun sum(): Long = max(0, lines.sumOf { it.cents })

    companion object {
        fun of(vararg lines: Line) = Order("new").apply { lines.forEach { add(it) } }
    }
}

fun List<Order>.report(): List<String> {
    val rows = mutableListOf<String>()
    var total = 0L
    for (order in this) {
        total += order.sum()
        rows += order.toString()
    }
    rows += total.toString()
    return rows
}
