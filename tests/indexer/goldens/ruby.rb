# frozen_string_literal: true

require "json"
require "set"

module Orders
  LIMIT = 100

  Line = Struct.new(:name, :cents)

  # Nothing may be added.
  class Closed < StandardError; end

  # Many lines, one customer.
  class Order
    include Enumerable
    attr_reader :lines

    def initialize(lines = [])
      @lines = lines
      @open = true
    end

    # Appends a line.
    def add(line)
      raise Closed unless @open

      total = @lines.size
      if total >= LIMIT
        raise ArgumentError, "more than #{LIMIT} lines"
      end
      @lines << line
      self
    end

    def total
      total = 0
      @lines.each do |line|
        total += line.cents
      end
      case total
      when 0 then warn "empty"
      when 1..99 then warn "small"
      end
      total
    end

    def each(&block)
      @lines.each(&block)
    end

    class << self
      def parse(text)
        new(JSON.parse(text).map { |row| Line.new(*row) })
      end
    end
  end
end

RSpec.describe Orders::Order do
  it "adds up" do
    order = described_class.new
    order.add(Orders::Line.new("a", 1))
    order.add(Orders::Line.new("b", 2))
    total = order.total
    expect(total).to eq(3)
  end

  it "closes" do
    expect { described_class.new.close }.not_to raise_error
  end
end
