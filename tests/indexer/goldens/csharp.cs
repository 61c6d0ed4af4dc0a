using System;
using System.Collections.Generic;
using System.Linq;

namespace Example.Orders
{
    /// <summary>One line of an order.</summary>
    public record Line(string Name, int Cents, double Rate);

    public enum State { Open, Paid, Sent }

    public interface IPriced
    {
        double Total { get; }
    }

    /// <summary>Many lines, one customer.</summary>
    [Serializable]
    public class Order : IPriced
    {
        private const int Limit = 100;
        private readonly List<Line> _lines = new();

        public event EventHandler<Line> Added;

        public Order(IEnumerable<Line> lines)
        {
            foreach (var line in lines)
            {
                Add(line);
            }
            State = State.Open;
        }

        public State State { get; private set; }

        public double Total
        {
            get
            {
                var total = 0.0;
                foreach (var line in _lines)
                {
                    total += line.Cents * (1 + line.Rate);
                }
                return total;
            }
        }

        /// <summary>Appends a line.</summary>
        public void Add(Line line)
        {
            var total = _lines.Count;
            if (total >= Limit)
            {
                throw new InvalidOperationException("full");
            }
            _lines.Add(line);
            Added?.Invoke(this, line);
        }

        public override string ToString() => $"{_lines.Count} lines";

        [Obsolete]
        public IDictionary<string, int> ByName()
        {
            var total = from line in _lines
                        group line by line.Name into same
                        select same;
            return total.ToDictionary(
                same => same.Key,
                same => same.Sum(line => line.Cents));
        }
    }
}
